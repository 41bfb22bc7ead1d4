#!/usr/bin/env bash
# Build the C library for use and install it, its headers, pkg-config file and
# manual: install.sh PREFIX.  DESTDIR is honoured.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=$1
scripts/build.sh release -Dbuildtype=debugoptimized -Dpython=disabled \
    -Dtests=false -Dexamples=false -Dbench=false
meson configure build/release --prefix="$prefix"
meson install -C build/release --quiet
printf 'installed in %s\n' "${DESTDIR:-}$prefix"
