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

# Programs find the library by the loader's cache, if it has that folder.
if [ -z "${DESTDIR:-}" ]; then
    PATH=$PATH:/usr/sbin:/sbin
    lib=$(find "$prefix"/lib* -name libceladon.so -printf %h -quit)
    if [ "$(id -u)" -eq 0 ]; then
        ldconfig
    fi
    ldconfig -p | grep -F "$lib/libceladon.so" >/dev/null ||
        printf 'to use it: export PKG_CONFIG_PATH=%s LD_LIBRARY_PATH=%s\n' \
            "$lib/pkgconfig" "$lib"
fi
