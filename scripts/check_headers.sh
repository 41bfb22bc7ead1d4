#!/usr/bin/env bash
# Compile each public header alone: C99, C11 and C23, C++17; gcc and clang.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

flags=(-fsyntax-only -Iinclude -Wall -Wextra -Wpedantic -Wundef -Wshadow
    -Werror -D_POSIX_C_SOURCE=200809L)
failed=0
count=0

# Twice, so that the guard is tried too.
compile() {
    count=$((count + 1))
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
        "$@" "${flags[@]}" - && return
    printf '%s: not with %s\n' "$header" "$*"
    failed=1
}

while IFS= read -r path; do
    header=${path#include/}
    for std in c99 c11 gnu2x; do
        compile gcc -x c -std="$std"
        compile clang -x c -std="$std"
    done
    compile g++ -x c++ -std=c++17
    compile clang++ -x c++ -std=c++17
done < <(find include -name '*.h' | sort)

printf '%d compilations\n' "$count"
[ "$count" -gt 0 ] && [ "$failed" -eq 0 ]
