#!/usr/bin/env bash
# Install the Debian packages that a purpose needs: setup.sh build|test|check|
# cross|demo|matrix ...  Only what is missing; silent when nothing is.
set -euo pipefail

declare -A packages=(
    [build]="meson ninja-build pkg-config libc-ares-dev libssl-dev
             systemtap-sdt-dev"
    [check]="clang clang-format-14 clang-tidy-14 g++ shellcheck codespell
             valgrind binutils spin mandoc abigail-tools gcovr"
    [cross]="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"
    [test]="strace gdb binutils openssl"
    [demo]="apache2-utils wrk util-linux strace libst-dev golang-go g++
            libboost-fiber-dev liburing-dev libuv1-dev"
    [interpreter]="dpkg-dev libssl-dev zlib1g-dev libffi-dev libbz2-dev
                   liblzma-dev libsqlite3-dev libreadline-dev"
    [matrix]="debootstrap"
)

die() {
    printf 'setup: %s\n' "$1" >&2
    exit 1
}

wanted=()
for purpose in "$@"; do
    [ -n "${packages[$purpose]:-}" ] || die "no such purpose: $purpose"
    read -r -a more <<<"${packages[$purpose]//$'\n'/ }"
    wanted+=("${more[@]}")
done

python=${PYTHON:-/usr/bin/python3}
if [ "$python" = /usr/bin/python3 ]; then
    wanted+=(python3 python3-venv python3-dev)
elif ! command -v "$python" >/dev/null; then
    die "PYTHON=$python is not an interpreter on this machine"
fi

if ! command -v dpkg-query >/dev/null; then
    printf 'setup: not a Debian system; taking for granted: %s\n' \
        "${wanted[*]}" >&2
    exit 0
fi

# dpkg-query fails when it does not know one of the names: that is an answer.
have=" $(dpkg-query -W -f='${Package}:${Status} ' "${wanted[@]}" \
    2>/dev/null || true)"
missing=()
for package in "${wanted[@]}"; do
    case $have in
        *" $package:install ok installed "*) ;;
        *) missing+=("$package") ;;
    esac
done
[ "${#missing[@]}" -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        die "needs root or sudo to install: ${missing[*]}"
    as_root=(sudo)
fi

printf 'setup: installing %s\n' "${missing[*]}" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install_missing() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install \
        --yes --quiet --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "${missing[@]}" >>"$log" 2>&1 </dev/null
}

# The lists may be absent or stale: fetch them only if it fails without.
if ! install_missing; then
    "${as_root[@]}" apt-get update -o DPkg::Lock::Timeout=300 \
        >>"$log" 2>&1 </dev/null || true
    if ! install_missing; then
        tail -n 20 "$log" >&2
        die "apt-get could not install: ${missing[*]}"
    fi
fi
