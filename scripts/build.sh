#!/usr/bin/env bash
# Configure build/NAME once, with the given Meson options, and build it:
# build.sh NAME [OPTION...].  CC chooses the compiler.  Quiet when it works.
set -euo pipefail
cd "$(dirname "$0")/.."

name=$1
shift
dir=build/$name
python=${PYTHON:-/usr/bin/python3}
mkdir -p build
log=build/$name.log

# One build of a folder at a time.
exec 9>"build/$name.lock"
flock 9

# Meson knows no option that is younger than the build.
if ! [ -f "$dir/build.ninja" ] ||
    [ meson_options.txt -nt "$dir/meson-private/coredata.dat" ]; then
    rm -rf "$dir"
    if ! meson setup "$dir" -Db_colorout=auto \
        -Dinterpreter="$(command -v "$python")" "$@" >"$log" 2>&1 </dev/null
    then
        tail -n 20 "$log" >&2
        printf 'build: meson could not configure %s\n' "$dir" >&2
        exit 1
    fi
fi
if ! ninja -C "$dir" >"$log" 2>&1 </dev/null; then
    grep -vE '^\[[0-9]+/|^Compiler for|^Checking for|^Has header| -M[DQ] ' \
        "$log" | head -n 60 >&2
    printf 'build: %s failed; all of it is in %s\n' "$dir" "$log" >&2
    exit 1
fi
# What the compilers warned of, if anything.
grep -E 'warning: ' "$log" >&2 || true
