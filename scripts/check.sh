#!/usr/bin/env bash
# Run checks by name, all of `make check` without one: check.sh [STEP...].
#
# A step is a function step_NAME.  Its output goes to build/check/NAME.log and
# is shown when it fails.  Counts in the forms of the C harness and of pytest
# are added up; a step that counts nothing counts as one.  The last line is
# "N passed, N failed"; each step also appends "PASSED FAILED" to the file
# CELADON_TALLY, where that is set.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

python=${PYTHON:-/usr/bin/python3}
venv=${VENV:-.venv}
all=(format shellcheck codespell layers sizes cpylint ruff headers gcc symbols
    abi clang tidy unit docs man install portable aarch64 hard faults errors
    asan tsan model coverage fuzz valgrind torture
    python)
logs=build/check
mkdir -p "$logs"

fail() {
    printf '%s\n' "$1" >&2
    return 1
}

# Files of the project, committed or about to be: ours GLOB...
ours() {
    git ls-files -z --cached --others --exclude-standard -- "$@" |
        while IFS= read -r -d '' file; do
            [ -f "$file" ] && printf '%s\n' "$file"
        done
}

# Unit tests of build/NAME: unit_tests NAME [ARGUMENT of meson test...].
unit_tests() {
    local name=$1 status=0
    shift
    meson test -C "build/$name" --no-rebuild --suite unit \
        --print-errorlogs "$@" | sed 's/^/  /' || status=1
    # Each program's own counts, out of the log that Meson keeps; above they
    # are indented, so as not to count twice.
    grep -hE '^[0-9]+ passed, [0-9]+ failed' \
        "build/$name/meson-logs/testlog"*.txt || true
    return "$status"
}

# ---- style and structure

step_format() {
    local files
    mapfile -t files < <(ours '*.c' '*.h')
    clang-format-14 --dry-run -Werror "${files[@]}"
}

step_shellcheck() {
    local files
    mapfile -t files < <(ours '*.sh' .ci/run)
    shellcheck "${files[@]}"
}

step_codespell() {
    local files
    mapfile -t files < <(ours ':!*.ko.md' ':!*.svg' ':!*.csv')
    codespell --ignore-words-list=fo,ans,nd "${files[@]}"
}

step_layers() { "$python" scripts/check_layers.py; }
step_sizes() { "$python" scripts/check_sizes.py; }
step_cpylint() { "$python" scripts/cpylint.py; }
step_headers() { scripts/check_headers.sh; }

step_ruff() {
    scripts/venv.sh ruff || return 1
    [ -x "$venv/bin/ruff" ] || fail 'ruff could not be installed' || return 1
    "$venv/bin/ruff" check . && "$venv/bin/ruff" --version
}

# What a run leaves behind is ignored or it is a mistake; for fresh clones.
step_pristine() {
    local left
    left=$(git status --porcelain)
    [ -z "$left" ] || fail "$left"
}

# ---- compilers

step_gcc() { CC=gcc scripts/build.sh gcc --werror; }

step_clang() {
    CC=clang scripts/build.sh clang --werror && unit_tests clang
}

step_symbols() {
    scripts/build.sh gcc --werror && "$python" scripts/check_symbols.py \
        build/gcc
}

# The binary interface, beside the one that was agreed on.
step_abi() { "$python" scripts/abi.py; }

step_tidy() {
    CC=clang scripts/build.sh clang --werror || return 1
    # One file a run: the analyzer of 14 mistakes va_start() in later ones.
    ninja -C build/clang -t compdb c_COMPILER |
        sed -nE 's/^ *"file": "(.*\.c)",?$/build\/clang\/\1/p' |
        grep -E '/(src|python|tests)/' | sort -u |
        xargs -P "$(nproc)" -n 1 clang-tidy-14 -p build/clang --quiet
}

# ---- tests

step_unit() { scripts/build.sh main && unit_tests main; }

# What the documents say of the tree, and their examples.
step_docs() {
    scripts/build.sh main && "$python" scripts/check_docs.py build/main
}

# The manual: complete, well-formed, its examples compile and run.
step_man() {
    scripts/build.sh main && "$python" scripts/check_man.py build/main
}

# As somebody else's program meets it: installed, by pkg-config.
step_install() { scripts/check_install.sh; }

# The switch in plain C, for other CPUs.
step_portable() {
    scripts/build.sh portable --werror -Dswitch=portable -Ddns=disabled \
        -Dpython=disabled &&
        unit_tests portable
}

# The other assembly, on an emulated CPU.
step_aarch64() {
    scripts/build.sh aarch64 --werror --cross-file scripts/aarch64.ini \
        -Ddns=disabled -Dtls=disabled -Dpython=disabled &&
        CELADON_TEST_SLOW=10 unit_tests aarch64 -t 10 --no-suite harness
}

step_hard() {
    local seed
    scripts/build.sh hard --werror -Dhard=true -Dpython=disabled || return 1
    # The same dice in each run: what fails here fails again.
    for seed in ${CELADON_SEED:-1 2 3}; do
        CELADON_SEED=$seed CELADON_TEST_SLOW=4 unit_tests hard -t 4 ||
            return 1
    done
}

# Every system call and allocation of the public calls, failing once.
step_faults() {
    scripts/build.sh faults --werror -Dhard=true -Db_lundef=false \
        -Db_sanitize=address,undefined -Dpython=disabled -Dbench=false \
        -Dexamples=false && "$python" scripts/faults.py build/faults
}

# Each error that a contract names, met by some test.
step_errors() {
    scripts/build.sh errors --werror -Dhard=true -Drecord=true \
        -Dpython=disabled -Dbench=false -Dexamples=false &&
        "$python" scripts/errors.py build/errors
}

step_asan() {
    scripts/build.sh asan -Db_sanitize=address,undefined -Db_lundef=false \
        -Dpython=disabled -Dbench=false -Dexamples=false || return 1
    CELADON_TEST_SLOW=4 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        ASAN_OPTIONS=detect_stack_use_after_return=1 unit_tests asan -t 4
}

# gcc's knows nothing of functions that begin in one coroutine and end in
# another, so clang's.
step_tsan() {
    CC=clang scripts/build.sh tsan -Db_sanitize=thread -Db_lundef=false \
        -Dpython=disabled -Dbench=false -Dexamples=false || return 1
    CELADON_TEST_SLOW=4 TSAN_OPTIONS=halt_on_error=1 unit_tests tsan -t 4
}

# The protocols between threads, by exhaustion.
step_model() { scripts/model.sh; }

# Lines that the C tests run, of the layers below the faces.
step_coverage() { scripts/coverage.sh 95; }

# Ten seconds for each parser.
step_fuzz() { scripts/fuzz.sh 10; }

step_valgrind() {
    scripts/build.sh main || return 1
    CELADON_TEST_SLOW=20 unit_tests main -t 20 --logbase valgrind --wrapper \
        "valgrind -q --error-exitcode=9 --leak-check=full \
--suppressions='$PWD/tests/valgrind.supp'"
}

# Random greenlets; as many as fit into a minute, without the build.
step_torture() {
    scripts/torture.sh -n 20000 asan && scripts/torture.sh -n 100000 valgrind
}

# The Python tests in a virtual environment: pytest_in VENV PYTHON.
pytest_in() {
    VENV=$1 PYTHON=$2 scripts/venv.sh || return 1
    timeout 900 "$1/bin/python" -m pytest -q -p no:cacheprovider </dev/null
}

step_python() { pytest_in "$venv" "$python"; }

# Every other CPython from 3.11 on that this machine has, one a version.
step_pythons() {
    local candidate minor status=0
    declare -A seen
    local which='import sys
if sys.version_info >= (3, 11) and sys.implementation.name == "cpython":
    print("%d.%d" % sys.version_info[:2])'
    seen[$("$python" -c "$which")]=1
    for candidate in /usr/bin/python3.?? /usr/local/bin/python3.?? \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
        [ -x "$candidate" ] || continue
        minor=$("$candidate" -c "$which" 2>/dev/null)
        if [ -z "$minor" ] || [ -n "${seen[$minor]:-}" ]; then
            continue
        fi
        seen[$minor]=1
        printf 'CPython %s: %s\n' "$minor" "$candidate"
        pytest_in ".venv-$minor" "$candidate" || status=1
    done
    return "$status"
}

# greenlet's own tests on our greenlets.
step_greenlet() {
    scripts/venv.sh psutil objgraph &&
        "$venv/bin/python" scripts/suites_greenlet.py
}

# gevent's own wheel on our greenlets.
step_gevent_stock() {
    scripts/venv.sh && "$venv/bin/python" scripts/suites_gevent_stock.py \
        --quick
}

# A CPython without the GIL; minutes more where it has to be made first.
step_freethreaded() {
    local candidate
    candidate=$(scripts/freethreaded.sh 3.13) || return 1
    PYTHON_GIL=0 pytest_in .venv-3.13t "$candidate"
}

# One newer CPython than Debian stable has.
step_matrix() { scripts/matrix.sh 3.14; }

# ---- running them

# Sums up a log: "PASSED FAILED" over its summary lines.
counts() {
    awk '
        /^[0-9]+ passed, [0-9]+ failed/ { passed += $1; failed += $3; next }
        /^=*[ ]*[0-9]+ (passed|failed|skipped|error|xfailed).* in [0-9.]+s/ {
            for (i = 2; i <= NF; i++) {
                if ($i ~ /^passed/) passed += $(i - 1)
                if ($i ~ /^(failed|error)/) failed += $(i - 1)
            }
        }
        END { print passed + 0, failed + 0 }' "$1"
}

packages=(build test)
for step in "${@:-${all[@]}}"; do
    case $step in
        format | shellcheck | codespell | headers | gcc | symbols | abi | \
            clang | tidy | man | install | coverage | fuzz | tsan | model | \
            valgrind)
            packages+=(check)
            ;;
        aarch64) packages+=(cross) ;;
    esac
done
scripts/setup.sh "${packages[@]}" || exit 1

total_passed=0
total_failed=0
for step in "${@:-${all[@]}}"; do
    if ! declare -F "step_$step" >/dev/null; then
        printf 'check: no such step: %s\n' "$step" >&2
        exit 2
    fi
    since=$SECONDS
    printf '[%s] %-10s ' "$(date +%T)" "$step"
    word=ok
    "step_$step" >"$logs/$step.log" 2>&1 </dev/null || word=FAILED
    read -r passed failed < <(counts "$logs/$step.log")
    if [ "$word" = FAILED ] && [ "$failed" -eq 0 ]; then
        failed=1
    elif [ "$((passed + failed))" -eq 0 ]; then
        passed=1
    fi
    if [ "$failed" -gt 0 ]; then
        word=FAILED
    fi
    printf '%-6s %3ds, %d passed, %d failed\n' "$word" "$((SECONDS - since))" \
        "$passed" "$failed"
    if [ "$word" = FAILED ]; then
        grep -vE '^[0-9]+ passed, 0 failed' "$logs/$step.log" |
            tail -n 40 | sed 's/^/    | /'
    fi
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
    if [ -n "${CELADON_TALLY:-}" ]; then
        printf '%d %d\n' "$passed" "$failed" >>"$CELADON_TALLY"
    fi
done

printf '%d passed, %d failed\n' "$total_passed" "$total_failed"
[ "$total_failed" -eq 0 ]
