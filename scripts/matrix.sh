#!/usr/bin/env bash
# Build and test the extension under the CPythons of Debian sid, in a chroot
# kept in the cache folder: matrix.sh [VERSION...], all that sid has without
# one.  Needs root or sudo.  Remove the folder to have it made anew.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        printf 'matrix: a chroot needs root or sudo\n' >&2
        exit 1
    }
    exec sudo env HOME="$HOME" XDG_CACHE_HOME="${XDG_CACHE_HOME:-}" \
        "$0" "$@"
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/celadon
root=$cache/sid
log=build/matrix
mkdir -p "$cache" "$log"

# What was written for whoever called sudo is theirs.
trap '[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID" build' EXIT

die() {
    printf 'matrix: %s\n' "$1" >&2
    exit 1
}

# Run a command in the chroot.  Mounts are made in a namespace of their own
# and processes in another: however this ends, nothing of either is left.
inside() {
    # shellcheck disable=SC2016
    unshare --mount --propagation private --pid --fork --kill-child \
        sh -c 'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
               exec chroot "$0" "$@"' "$root" \
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
        DEBIAN_FRONTEND=noninteractive TERM=dumb \
        ${http_proxy:+http_proxy="$http_proxy"} \
        ${CELADON_TEST_SLOW:+CELADON_TEST_SLOW="$CELADON_TEST_SLOW"} "$@"
}

# The mirror that this machine uses itself; debootstrap's own without one.
mirror() {
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(LABEL) $(REPO_URI)' 2>/dev/null |
        awk '$1 == "Debian" { print $2; exit }'
}

make_root() {
    local uri
    uri=$(mirror)
    printf 'matrix: making a chroot of Debian sid in %s\n' "$root" >&2
    PYTHON='' scripts/setup.sh matrix || die 'debootstrap is missing'
    rm -rf --one-file-system "$root"
    # shellcheck disable=SC2086
    debootstrap --variant=minbase --include=ca-certificates sid "$root" $uri \
        >"$log/debootstrap.log" 2>&1 </dev/null || {
        tail -n 20 "$log/debootstrap.log" >&2
        die 'debootstrap failed'
    }
    # A mirror may lag behind by more than its lists are valid for.
    printf 'Acquire::Check-Valid-Until "false";\nAPT::Install-%s "false";\n' \
        Recommends >"$root/etc/apt/apt.conf.d/90celadon"
}

install_packages() {
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    inside apt-get update >"$log/apt.log" 2>&1 </dev/null || true
    inside apt-get install --yes "$@" >>"$log/apt.log" 2>&1 </dev/null || {
        tail -n 20 "$log/apt.log" >&2
        die "sid could not install: $*"
    }
}

exec 9>"$cache/sid.lock"
flock 9

[ -f "$root/.celadon-base" ] || {
    make_root
    install_packages gcc libc6-dev meson ninja-build pkgconf python3-pytest
    touch "$root/.celadon-base"
}

versions=("$@")
if [ "${#versions[@]}" -eq 0 ]; then
    mapfile -t versions < <(inside apt-cache --names-only search \
        '^python3\.[0-9]+-dev$' | sed 's/^python\(3\.[0-9]*\).*/\1/' |
        sort -V | awk -F. '$2 >= 11')
fi
for version in "${versions[@]}"; do
    [ -f "$root/.celadon-$version" ] || {
        install_packages "python$version-dev" "python$version-venv"
        touch "$root/.celadon-$version"
    }
done

# The tree as it is, without what is built.
tree=$root/celadon/tree
rm -rf --one-file-system "$tree"
mkdir -p "$tree"
git -c safe.directory="$PWD" ls-files -z --cached --others \
    --exclude-standard | tar --create --null --files-from=- \
    --ignore-failed-read 2>/dev/null | tar --extract --directory="$tree"

# How many tests pytest's last line says "$2" of: number_of LINE WORD.
number_of() {
    sed -nE "s/.*\b([0-9]+) $2.*/\1/p;T;q" <<<"$1" | grep . || echo 0
}

# Build, install aside and test for one version, inside.
cat >"$root/celadon/one" <<'INSIDE'
set -eu
version=$1
cd /celadon/tree
build=/celadon/build-$version
[ -f "$build/build.ninja" ] || meson setup "$build" -Dpython=enabled \
    -Dinterpreter="python$version" -Dtests=false -Dexamples=false \
    -Dbench=false
ninja -C "$build"
rm -rf "/celadon/root-$version"
meson install -C "$build" --no-rebuild --tags python-runtime \
    --destdir "/celadon/root-$version"
package=$(find "/celadon/root-$version" -type d -name celadon -print -quit)
export PYTHONPATH="${package%/celadon}" PYTHONDONTWRITEBYTECODE=1
"python$version" --version
# Not by exec: timeout cannot be process 1, which this shell is.
timeout 900 "python$version" -m pytest -q -p no:cacheprovider
exit $?
INSIDE

status=0
board=()
passed=0
failed=0
for version in "${versions[@]}"; do
    out=$log/$version.log
    word=ok
    inside sh /celadon/one "$version" >"$out" 2>&1 </dev/null || word=FAILED
    last=$(grep -E ' in [0-9.]+s' "$out" | tail -n 1 | tr -d '=' || true)
    good=$(number_of "$last" passed)
    bad=$(($(number_of "$last" failed) + $(number_of "$last" error)))
    if [ "$word" = FAILED ]; then
        status=1
        [ "$bad" -gt 0 ] || bad=1
        tail -n 60 "$out" | sed 's/^/    | /'
    fi
    passed=$((passed + good))
    failed=$((failed + bad))
    board+=("$(printf 'CPython %-10s %-6s %s' \
        "$(sed -n 's/^Python \(3[^ ]*\)$/\1/p' "$out" | head -n 1)" \
        "$word" "${last:-no test was run}")")
done

printf '%s\n' "${board[@]}"
printf '%d passed, %d failed\n' "$passed" "$failed"
exit "$status"
