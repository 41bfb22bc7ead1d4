#!/usr/bin/env bash
# Lines of the engine that its C tests run, those of tests/faults included:
# coverage.sh [FLOOR].  Fails where base, coro, io, sched and sync together
# have less than FLOOR per cent, 95 without it.  In a hard build, for what is
# rare; what only a plain one runs, or only Python calls, counts as missing.
set -euo pipefail
cd "$(dirname "$0")/.."

floor=${1:-95}
build=build/coverage
CC=gcc scripts/build.sh coverage -Dhard=true -Db_coverage=true \
    -Dbuildtype=debug -Dpython=disabled -Dbench=false -Dexamples=false
find "$build" -name '*.gcda' -delete
CELADON_TEST_SLOW=8 meson test -C "$build" --no-rebuild --suite unit -t 8 \
    --print-errorlogs | grep -vE ' (OK|SKIP) ' || true
for backend in epoll poll uring; do
    CELADON_BACKEND=$backend timeout 300 "$build/tests/faults" |
        grep -vE '^(call|fault|ok) ' || true
done
gcovr --root . "$build" --filter 'src/(base|coro|io|sched|sync)/' \
    --exclude-unreachable-branches --fail-under-line "$floor"
