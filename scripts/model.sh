#!/usr/bin/env bash
# Check the models of tests/model by exhaustion: model.sh [NAME...].
#
# Each must hold, and with -DBROKEN, which takes out what it is about, must
# not: a model that can't fail shows nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

logs=$PWD/build/model
mkdir -p "$logs"

# Whether spin finds no error: holds NAME [OPTION].
holds() {
    local name=$1 dir
    shift
    dir=$logs/$name${1:-}
    mkdir -p "$dir"
    (
        cd "$dir"
        spin -a "$@" "../../../tests/model/$name.pml" >spin.log &&
            gcc -O2 -DSAFETY -w -o pan pan.c &&
            timeout 300 ./pan -m1000000 >pan.log
    ) || {
        printf '%s: could not be checked, see %s\n' "$name" "$dir" >&2
        exit 1
    }
    grep -q 'errors: 0' "$dir/pan.log"
}

passed=0
failed=0
verdict() {
    if [ "$2" = "$3" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf '%s: %s, which is wrong\n' "$1" "$2"
    fi
}

for path in tests/model/*.pml; do
    name=$(basename "$path" .pml)
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then
        continue
    fi
    word=fails
    holds "$name" && word=holds
    verdict "$name" "$word" holds
    word=fails
    holds "$name" -DBROKEN && word=holds
    verdict "$name -DBROKEN" "$word" fails
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
