#!/usr/bin/env bash
# Make a free-threaded CPython out of Debian sid's source package, once, and
# say where it is: freethreaded.sh VERSION [tsan], as in "3.13".  Kept in the
# cache folder beside sid's chroot; remove the folder to have it made anew.
# "tsan": with the thread sanitizer in it, in a folder of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

version=${1:?usage: freethreaded.sh VERSION [tsan]}
kind=${2:-}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/celadon
prefix=$cache/python${version}t${kind:+-$kind}
log=build/freethreaded
mkdir -p "$cache" "$log"
log=$PWD/$log/$version$kind.log

die() {
    printf 'freethreaded: %s (%s)\n' "$1" "$log" >&2
    exit 1
}

exec 9>"$prefix.lock"
flock 9
python=$prefix/bin/python${version}t
if [ -f "$prefix/.complete" ]; then
    printf '%s\n' "$python"
    exit 0
fi

work=$prefix.work
rm -rf "$work" "$prefix"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/source"
: >"$log"
printf 'freethreaded: making %s (some minutes)\n' "$prefix" >&2

# sid's index, apart from this machine's own lists; signed as those are.
# shellcheck disable=SC2016
uri=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 2>/dev/null |
    awk '$1 == "Debian" { print $2; exit }')
printf 'deb-src [signed-by=%s] %s sid main\n' \
    /usr/share/keyrings/debian-archive-keyring.gpg \
    "${uri:-http://deb.debian.org/debian}" >"$work/sources.list"
apt=(apt-get -o "Dir::Etc::sourcelist=$work/sources.list"
    -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$work/lists"
    -o "Dir::Cache=$work/cache" -o Acquire::Check-Valid-Until=false
    -o "APT::Sandbox::User=$(id -un)")
"${apt[@]}" update >>"$log" 2>&1 </dev/null || die 'no list of sources'

# A mirror may have lost the newest and kept one before: try all it names.
packages=(python"$version")
# shellcheck disable=SC2016
mapfile -t -O 1 packages < <("${apt[@]}" indextargets \
    --format '$(FILENAME)' 'Identifier: Sources' 2>/dev/null |
    xargs -r /usr/lib/apt/apt-helper cat-file 2>/dev/null |
    awk -v name="python$version" '$1 == "Package:" { ours = $2 == name }
        ours && $1 == "Version:" { print name "=" $2 }' | sort -Vr)
for package in "${packages[@]}"; do
    (cd "$work" && "${apt[@]}" source --download-only "$package") \
        >>"$log" 2>&1 </dev/null && break
done
tarball=$(find "$work" -maxdepth 1 -name "python${version}_*.orig.tar.*" \
    -not -name '*.asc' -print -quit)
[ -n "$tarball" ] || die "Debian has no source of python$version to be had"

scripts/setup.sh interpreter
tar -xf "$tarball" -C "$work/source" --strip-components=1
cd "$work/source"
options=(--prefix="$prefix" --disable-gil --disable-test-modules
    --without-static-libpython)
[ "$kind" != tsan ] || options+=(--with-thread-sanitizer)
./configure "${options[@]}" CFLAGS='-O2 -g1' >>"$log" 2>&1 </dev/null ||
    die 'configure failed'
make -j"$(nproc)" >>"$log" 2>&1 </dev/null || die 'make failed'
make install >>"$log" 2>&1 </dev/null || die 'make install failed'
[ -x "$python" ] || die "no $python was made"
touch "$prefix/.complete"
rm -rf "$work"
printf '%s\n' "$python"
