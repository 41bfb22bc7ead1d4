#!/usr/bin/env bash
# Build and test the extension under the CPythons of Debian sid, in a chroot
# kept in the cache folder: matrix.sh [--only PART] [VERSION...], all that sid
# has without a version.  Parts: tests (our own), jit (some again, compiled),
# suite (greenlet's own), and only when asked for bench (bench/greenlet.py) and
# torture (CELADON_TORTURE="SEED STEPS", see torture.sh).
# Needs root or sudo.  Remove the folder to have it made anew.
set -euo pipefail
cd "$(dirname "$0")/.."

parts=(tests jit suite)
only=
if [ "${1:-}" = --only ]; then
    only=$2
    parts=("$only")
    shift 2
fi

has_part() { [[ " ${parts[*]} " == *" $1 "* ]]; }

cache=${XDG_CACHE_HOME:-$HOME/.cache}/celadon
python=${VENV:-.venv}/bin/python
# What comes from the package registry: fetched out here, as whoever calls.
if has_part suite; then
    scripts/venv.sh
    "$python" scripts/suites_greenlet.py --fetch
fi

if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        printf 'matrix: a chroot needs root or sudo\n' >&2
        exit 1
    }
    exec sudo env HOME="$HOME" XDG_CACHE_HOME="${XDG_CACHE_HOME:-}" \
        VENV="${VENV:-.venv}" CELADON_TORTURE="${CELADON_TORTURE:-}" \
        "$0" ${only:+--only "$only"} "$@"
fi

root=$cache/sid
log=build/matrix
mkdir -p "$cache" "$log"

# What was written for whoever called sudo is theirs.
trap '[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID" build' EXIT

die() {
    printf 'matrix: %s\n' "$1" >&2
    exit 1
}

# Run a command in the chroot.  Mounts are made in a namespace of their own
# and processes in another: however this ends, nothing of either is left.
inside() {
    # shellcheck disable=SC2016
    unshare --mount --propagation private --pid --fork --kill-child \
        sh -c 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
               exec chroot "$0" "$@"' "$root" \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive TERM=dumb \
        ${http_proxy:+http_proxy="$http_proxy"} \
        ${CELADON_TEST_SLOW:+CELADON_TEST_SLOW="$CELADON_TEST_SLOW"} \
        ${CELADON_TORTURE:+CELADON_TORTURE="$CELADON_TORTURE"} "$@"
}

# The mirror that this machine uses itself; debootstrap's own without one.
mirror() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 2>/dev/null |
        awk '$1 == "Debian" { print $2; exit }'
}

make_root() {
    local uri
    uri=$(mirror)
    printf 'matrix: making a chroot of Debian sid in %s\n' "$root" >&2
    PYTHON='' scripts/setup.sh matrix || die 'debootstrap is missing'
    rm -rf --one-file-system "$root"
    # shellcheck disable=SC2086
    debootstrap --variant=minbase --include=ca-certificates sid "$root" $uri \
        >"$log/debootstrap.log" 2>&1 </dev/null || {
        tail -n 20 "$log/debootstrap.log" >&2
        die 'debootstrap failed'
    }
    # A mirror may lag behind by more than its lists are valid for.
    printf 'Acquire::Check-Valid-Until "false";\nAPT::Install-%s "false";\n' \
        Recommends >"$root/etc/apt/apt.conf.d/90celadon"
}

install_packages() {
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    inside apt-get update >"$log/apt.log" 2>&1 </dev/null || true
    inside apt-get install --yes "$@" >>"$log/apt.log" 2>&1 </dev/null || {
        tail -n 20 "$log/apt.log" >&2
        die "sid could not install: $*"
    }
}

exec 9>"$cache/sid.lock"
flock 9

[ -f "$root/.celadon-base" ] || {
    make_root
    install_packages gcc libc6-dev meson ninja-build pkgconf python3-pytest
    touch "$root/.celadon-base"
}
[ -f "$root/.celadon-suites" ] || {
    install_packages g++ python3-psutil python3-objgraph strace
    touch "$root/.celadon-suites"
}

versions=("$@")
if [ "${#versions[@]}" -eq 0 ]; then
    mapfile -t versions < <(inside apt-cache --names-only search \
        '^python3\.[0-9]+-dev$' | sed 's/^python\(3\.[0-9]*\).*/\1/' |
        sort -V | awk -F. '$2 >= 11')
fi
for version in "${versions[@]}"; do
    [ -f "$root/.celadon-$version" ] || {
        install_packages "python$version-dev" "python$version-venv"
        touch "$root/.celadon-$version"
    }
done

# The tree as it is, without what is built.
tree=$root/celadon/tree
rm -rf --one-file-system "$tree"
mkdir -p "$tree"
git -c safe.directory="$PWD" ls-files -z --cached --others \
    --exclude-standard | tar --create --null --files-from=- \
    --ignore-failed-read 2>/dev/null | tar --extract --directory="$tree"

mkdir -p "$root/celadon/suites"
if has_part suite; then
    cp "$cache"/suites/greenlet-3*.tar.gz "$root/celadon/suites/"
fi
if has_part bench; then
    for version in "${versions[@]}"; do
        "$python" -m pip download --quiet --no-deps --only-binary=:all: \
            --python-version "$version" --dest "$root/celadon/suites" greenlet
    done
fi

# How many tests a line of the board says "$2" of: number_of LINE WORD.
number_of() {
    sed -nE "s/.*\b([0-9]+) $2.*/\1/p;T;q" <<<"$1" | grep . || echo 0
}

# Take the parts' last words out of a log, onto the board.
read_board() {
    local version part word rest bad
    version=$(sed -n 's/^Python \(3[^ ]*\)$/\1/p' "$1" | head -n 1)
    while read -r _ part word rest; do
        bad=$(($(number_of "$rest" failed) + $(number_of "$rest" error)))
        if [ "$word" = FAILED ] && [ "$bad" -eq 0 ]; then
            bad=1
        fi
        passed=$((passed + $(number_of "$rest" passed)))
        failed=$((failed + bad))
        board+=("$(printf 'CPython %-8s %-6s %-6s %s' "$version" "$part" \
            "$word" "$rest")")
    done < <(grep '^@ ' "$1")
}

status=0
board=()
passed=0
failed=0
for version in "${versions[@]}"; do
    out=$log/$version.log
    if ! inside bash /celadon/tree/scripts/matrix_inside.sh "$version" \
        "${parts[@]}" >"$out" 2>&1 </dev/null; then
        status=1
        tail -n 60 "$out" | sed 's/^/    | /'
    fi
    read_board "$out"
    if has_part bench; then
        sed -n '/^ns an operation/,/^@/p' "$out" | sed '$d'
        mkdir -p build/bench-results
        cp "$tree/build/bench-results/greenlet-$version.csv" \
            build/bench-results/
    fi
done

[ "${#board[@]}" -gt 0 ] || failed=1
printf '%s\n' "${board[@]}"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ] || status=1
exit "$status"
