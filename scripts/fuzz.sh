#!/usr/bin/env bash
# Fuzz every parser: fuzz.sh [SECONDS [NAME...]], ten seconds each without it.
# What is found lies in build/fuzz; a regression's file belongs in
# tests/fuzz/corpus/NAME, which each build runs.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-10}
[ "$#" -eq 0 ] || shift
CC=clang scripts/build.sh fuzz -Db_lundef=false \
    -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link \
    -Dpython=disabled -Dbench=false -Dexamples=false

count=0
for path in tests/fuzz/fuzz_*.c; do
    name=$(basename "$path" .c)
    name=${name#fuzz_}
    if [ "$#" -gt 0 ] && [[ " $* " != *" $name "* ]]; then
        continue
    fi
    found=build/fuzz/corpus/$name
    mkdir -p "$found"
    printf '%s:\n' "$name"
    "build/fuzz/tests/fuzz_$name" -max_total_time="$seconds" -timeout=20 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/$name-" \
        "$found" "tests/fuzz/corpus/$name" 2>&1 | tail -n 40
    count=$((count + 1))
done
printf '%d passed, 0 failed\n' "$count"
[ "$count" -gt 0 ]
