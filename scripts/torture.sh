#!/usr/bin/env bash
# Torture greenlets: torture.sh [-n STEPS] [-s SEED] [KIND...]
#
# KIND is plain, collect (the collector runs as often as it can), asan,
# valgrind, or matrix (the CPythons of Debian sid, with and without their JIT);
# the first four without one.  STEPS for each, a million without -n; valgrind
# makes a hundredth.  PYTHON chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-/usr/bin/python3}
steps=1000000
seed=1
while getopts n:s: option; do
    case $option in
        n) steps=$OPTARG ;;
        s) seed=$OPTARG ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# Build, and put the package where it can be imported: package NAME [OPTION...]
package() {
    local name=$1-$minor
    shift
    PYTHON=$python scripts/build.sh "$name" -Dtests=false -Dexamples=false \
        -Dbench=false "$@"
    rm -rf "build/$name/root"
    meson install -C "build/$name" --no-rebuild --tags python-runtime \
        --destdir root >"build/$name.install.log"
    PYTHONPATH=$(find "$PWD/build/$name/root" -type d -name celadon \
        -path '*-packages/*' -print -quit)
    export PYTHONPATH=${PYTHONPATH%/celadon} PYTHONDONTWRITEBYTECODE=1
}

# Both tortures, a fifth of the steps for the hub's, which are slower:
# torture STEPS [COMMAND...] -- [OPTION...]
torture() {
    local count=$1 run=20000 command=()
    shift
    while [ "$1" != -- ]; do
        command+=("$1")
        shift
    done
    shift
    [ "$run" -le "$count" ] || run=$count
    "${command[@]}" "$python" tests/python/torture_greenlet.py "$seed" \
        "$run" "$count" "$@"
    "${command[@]}" "$python" tests/python/torture_hub.py "$seed" \
        "$((run / 5))" "$((count / 5))" "$@"
}

kind_plain() {
    package torture
    torture "$steps" env --
}

kind_collect() {
    package torture
    torture "$steps" env -- --collect
}

kind_asan() {
    package torture-asan -Db_sanitize=address,undefined -Db_lundef=false
    local preload
    preload="$(gcc -print-file-name=libasan.so)"
    preload+=" $(gcc -print-file-name=libubsan.so)"
    # What CPython itself never frees is not looked for.
    torture "$steps" env LD_PRELOAD="$preload" PYTHONMALLOC=malloc \
        CELADON_TEST_SLOW=4 \
        ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=1 \
        UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 --
}

kind_valgrind() {
    package torture
    torture "$((steps / 100))" env PYTHONMALLOC=malloc CELADON_TEST_SLOW=40 \
        valgrind -q --error-exitcode=9 \
        --suppressions="$PWD/tests/valgrind.supp" --
}

kind_matrix() {
    CELADON_TORTURE="$seed $steps" scripts/matrix.sh --only torture
}

[ "$#" -gt 0 ] || set -- plain collect asan valgrind
scripts/setup.sh build
for kind in "$@"; do
    declare -F "kind_$kind" >/dev/null || {
        printf 'torture: no such kind: %s\n' "$kind" >&2
        exit 2
    }
    printf '== %s\n' "$kind"
    "kind_$kind"
done
