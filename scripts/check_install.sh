#!/usr/bin/env bash
# Install the C library into a folder of build/, and use it from there as a
# stranger would: programs in C and C++, shared and static, by pkg-config.
set -euo pipefail
cd "$(dirname "$0")/.."

prefix=$PWD/build/prefix
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "$prefix"
DESTDIR='' scripts/install.sh "$prefix" >"$work/log" ||
    { cat "$work/log"; exit 1; }

pc=$(find "$prefix" -name celadon.pc)
export PKG_CONFIG_PATH=${pc%/*}
libdir=$(pkg-config --variable=libdir celadon)
fail() {
    printf '%s\n' "$1"
    exit 1
}

# What is there: one library with its links, its archive, headers, pages.
soname=$(objdump -p "$libdir/libceladon.so" | awk '$1 == "SONAME" {print $2}')
[ "$soname" = libceladon.so.0 ] || fail "the soname is '$soname'"
[ "$(readlink -f "$libdir/$soname")" = \
    "$(readlink -f "$libdir/libceladon.so")" ] || fail "$soname is another"
objdump -T "$libdir/libceladon.so" | grep -qE 'CELADON_0 +cel_run$' ||
    fail 'cel_run has no version'
readelf -d "$libdir/libceladon.so" | grep -q NODELETE ||
    fail 'it would be unloaded under its threads'
[ -f "$libdir/libceladon.a" ] || fail 'there is no libceladon.a'
[ "$(pkg-config --modversion celadon)" = \
    "$(meson introspect --projectinfo build/release |
        sed -E 's/.*"version": "([^"]*)".*/\1/')" ] ||
    fail 'the version of celadon.pc is not the project'\''s'
for header in include/celadon.h include/celadon/*.h; do
    cmp "$header" "$prefix/$header"
done
for page in man3/cel_run.3 man3/celadon_net.3 man7/celadon.7; do
    [ -f "$prefix/share/man/$page" ] || fail "there is no $page"
done

for text in docs/tutorial.md examples/README.md examples/tutorial/step4.c; do
    cmp "$text" "$prefix/share/doc/celadon/$text"
done

# Programs: their words are the same in both languages.
cat >"$work/program.c" <<'PROGRAM'
#include <celadon.h>

#include <stdio.h>

static void
answer(void *arg)
{
    int value = 42;
    int err = cel_chan_send((cel_chan *)arg, &value, CEL_FOREVER);

    if (err < 0) {
        printf("%d\n", err);
    }
}

static int
first(void *arg)
{
    cel_chan *chan;
    int value = 0;
    int err = cel_chan_open(&chan, sizeof(value), 0);

    (void)arg;
    if (err == 0) {
        err = cel_go(NULL, answer, chan);
    }
    if (err == 0) {
        err = cel_chan_recv(chan, &value, CEL_FOREVER);
    }
    cel_chan_close(chan);
    printf("%s: %d\n", cel_info_version(), value);
    return err < 0 ? err : value;
}

int
main(void)
{
    return cel_run(first, NULL, NULL) == 42 ? 0 : 1;
}
PROGRAM
cp "$work/program.c" "$work/program.cc"
flags=(-Wall -Wextra -Werror)
read -ra cflags < <(pkg-config --cflags celadon)
read -ra shared < <(pkg-config --libs celadon)
read -ra static < <(pkg-config --static --libs celadon)

count=0
try() {
    local name=$1
    shift
    "$@" -o "$work/$name" || fail "$name does not build"
    LD_LIBRARY_PATH=$libdir timeout 20 "$work/$name" || fail "$name fails"
    count=$((count + 1))
}
for language in c cc; do
    cc=gcc
    [ "$language" = c ] || cc=g++
    source=$work/program.$language
    try "shared_$language" "$cc" "${flags[@]}" "${cflags[@]}" "$source" \
        "${shared[@]}"
    # Only this library out of its archive, then all that there is.
    try "archive_$language" "$cc" "${flags[@]}" "${cflags[@]}" "$source" \
        "${static[@]/-lceladon/-l:libceladon.a}"
    ! ldd "$work/archive_$language" | grep -q celadon ||
        fail "archive_$language wants the shared library"
    try "static_$language" "$cc" -static "${flags[@]}" "${cflags[@]}" \
        "$source" "${static[@]}" 2> >(grep -v getaddrinfo >&2 || true)
done
# As the tutorial says.
try step1 gcc "${flags[@]}" "${cflags[@]}" \
    "$prefix/share/doc/celadon/examples/tutorial/step1.c" "${shared[@]}"
printf '%d passed, 0 failed\n' "$count"
