#!/usr/bin/env bash
# What matrix.sh runs in its chroot for one CPython:
# matrix_inside.sh VERSION PART...  Ends each part with a line "@ PART ok" or
# "@ PART FAILED", and what it came to.
set -euo pipefail

version=$1
shift
python=python$version
build=/celadon/build-$version
root=/celadon/root-$version
cd /celadon/tree
export PYTHONDONTWRITEBYTECODE=1

# Built aside of the tree, which is put there anew each time.
part_build() {
    [ -f "$build/build.ninja" ] || meson setup "$build" -Dpython=enabled \
        -Dinterpreter="$python" -Dtests=false -Dexamples=false \
        -Dbench=false || return 1
    ninja -C "$build" || return 1
    rm -rf "$root"
    meson install -C "$build" --no-rebuild --tags python-runtime \
        --destdir "$root"
}

pytest() {
    timeout 900 "$python" -m pytest -q -p no:cacheprovider "$@"
}

part_tests() { pytest; }

# Those that switch in all ways, compiled as early as CPython's JIT does.
part_jit() {
    if ! "$python" -c 'import sys
sys.exit(not (hasattr(sys, "_jit") and sys._jit.is_available()))'; then
        echo 'no JIT is built in'
        return 0
    fi
    PYTHON_JIT=1 pytest tests/python/test_greenlet*.py \
        tests/python/test_version_state.py tests/python/test_recursion.py \
        tests/python/test_task.py tests/python/test_asyncio.py \
        tests/python/test_frames.py
}

part_suite() {
    timeout 1500 "$python" scripts/suites_greenlet.py --python "$python" \
        --sdist /celadon/suites/greenlet-3*.tar.gz
}

part_bench() {
    PIP_NO_INDEX=1 PIP_FIND_LINKS=/celadon/suites \
        timeout 900 "$python" bench/greenlet.py
}

# With and without the JIT, where there is one: it heeds PYTHON_JIT or not.
part_torture() {
    local seed steps jit how
    read -r seed steps <<<"${CELADON_TORTURE:-1 100000}"
    for how in '' --collect; do
        for jit in 0 1; do
            PYTHON_JIT=$jit "$python" tests/python/torture_greenlet.py \
                "$seed" 20000 "$steps" $how || return 1
        done
        "$python" tests/python/torture_hub.py "$seed" 4000 \
            "$((steps / 5))" $how || return 1
    done
}

"$python" --version
status=0
for part in build "$@"; do
    log=/tmp/part.log
    word=ok
    "part_$part" >"$log" 2>&1 </dev/null || word=FAILED
    cat "$log"
    # pytest's last line, the suite's last two; the bench has a table.
    case $part in
        suite) found=$(tail -n 2 "$log" | tac | paste -s -d ' ') ;;
        *) found=$(grep -E ' in [0-9.]+s|^no JIT' "$log" | tail -n 1 |
            tr -d '=' | sed 's/^ *//; s/ *$//' || true) ;;
    esac
    printf '@ %s %s %s\n' "$part" "$word" "$found"
    if [ "$word" = FAILED ]; then
        status=1
        [ "$part" != build ] || break
    fi
    if [ "$part" = build ]; then
        package=$(find "$root" -type d -name celadon -print -quit)
        export PYTHONPATH=${package%/celadon}
    fi
done
[ "$status" -eq 0 ]
