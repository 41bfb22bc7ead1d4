#!/usr/bin/env bash
# Make the virtual environment $VENV of $PYTHON with celadon and what its
# development needs; install celadon again when a source is newer.  Further
# names are packages that are nice to have: venv.sh [PACKAGE...].
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-/usr/bin/python3}
venv=${VENV:-.venv}
tools=(meson ninja meson-python pytest)
# Tests use these; without what they require, for their greenlet is ours.
users=(sqlalchemy aiosqlite typing_extensions gunicorn packaging)
log=build/$(basename "$venv").log
mkdir -p build

# Several makes may want it at once.
exec 9>"build/$(basename "$venv").lock"
flock 9

quietly() {
    if ! "$@" >"$log" 2>&1 </dev/null; then
        tail -n 40 "$log" >&2
        printf 'venv: failed: %s\n' "$*" >&2
        exit 1
    fi
}

if ! "$venv/bin/python" -c '' 2>/dev/null; then
    printf 'venv: making %s\n' "$venv" >&2
    rm -rf "$venv"
    quietly "$python" -m venv "$venv"
fi
if ! [ -f "$venv/.tools" ] || [ scripts/venv.sh -nt "$venv/.tools" ]; then
    quietly "$venv/bin/python" -m pip install --quiet "${tools[@]}"
    quietly "$venv/bin/python" -m pip install --quiet --no-deps "${users[@]}"
    touch "$venv/.tools"
fi

sources=(include src python meson.build meson_options.txt pyproject.toml)
if ! [ -f "$venv/.celadon" ] ||
    [ -n "$(find "${sources[@]}" -newer "$venv/.celadon" \
        -not -name '*.pyc' -not -name __pycache__ -print -quit)" ]; then
    printf 'venv: installing celadon into %s\n' "$venv" >&2
    # Meson knows no option that is younger than the build.
    built=build/py$venv/meson-private/coredata.dat
    if [ -f "$built" ] && [ meson_options.txt -nt "$built" ]; then
        rm -rf "build/py$venv"
    fi
    # Older than the build: what is saved meanwhile counts as newer.
    touch "$venv/.started"
    PATH="$PWD/$venv/bin:$PATH" quietly "$venv/bin/python" -m pip install \
        --quiet --no-build-isolation --no-deps --force-reinstall \
        --config-settings=build-dir="build/py$venv" .
    mv "$venv/.started" "$venv/.celadon"
fi

for package in "$@"; do
    if ! [ -f "$venv/.extra-$package" ]; then
        if "$venv/bin/python" -m pip install --quiet "$package" \
            >"$log" 2>&1 </dev/null; then
            touch "$venv/.extra-$package"
        else
            printf 'venv: no %s for this interpreter: going on without\n' \
                "$package" >&2
        fi
    fi
done
