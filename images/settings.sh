# What all scripts of this folder agree on; sourced by them.
# shellcheck shell=bash disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$root/target/images
cache=${XDG_CACHE_HOME:-$HOME/.cache}/bellwether
programs=(controller speaker)
source_url=https://bellwether.dev

# The one place that holds the version.
version=$(awk -F '"' '/^\[workspace.package\]/ { here = 1 } here && /^version/ { print $2; exit }' \
    "$root/Cargo.toml")

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "error: $*"
    exit 1
}

# The target of rustc for an architecture as OCI names it.
triple() {
    case $1 in
    amd64) echo x86_64-unknown-linux-gnu ;;
    arm64) echo aarch64-unknown-linux-gnu ;;
    *) fail "no architecture $1: take amd64 or arm64" ;;
    esac
}

# The architecture of this machine, as OCI names it.
host_arch() {
    case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) fail "images are built on x86_64 and aarch64, not on $(uname -m)" ;;
    esac
}

# Installs Debian packages, or says which are missing.
need_packages() {
    local missing=()
    for package in "$@"; do
        dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null |
            grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        fail "install these packages (Debian and Ubuntu call them so): ${missing[*]}"
    fi
    say "Installing ${missing[*]}"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
        --no-install-recommends "${missing[@]}"; } >&2
}
