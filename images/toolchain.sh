# Which compiler makes binaries of an architecture on this machine; sourced by images/compile.
# shellcheck shell=bash disable=SC2154,SC2054

# Makes cargo build for an architecture, and says with what.
use_toolchain() {
    local arch=$1 target gnu
    target=$(triple "$arch")
    gnu=${target/-unknown/}
    if [ "$arch" = "$(host_arch)" ]; then
        [ -f "$(gcc -print-file-name=libc.a)" ] ||
            fail 'no static C library: install libc6-dev (Debian, Ubuntu) or glibc-static (Fedora)'
        return
    fi
    command -v "$gnu-gcc" >/dev/null ||
        need_packages "gcc-${gnu//_/-}" "libc6-dev-$arch-cross"
    local upper=${target^^}
    export "CARGO_TARGET_${upper//-/_}_LINKER=$gnu-gcc"
    if [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
        say "$arch: by $(rustc --version), which has its standard library"
    elif command -v rustup >/dev/null && timeout 300 rustup target add "$target" >&2; then
        say "$arch: by $(rustc --version), whose standard library rustup has added"
    elif [ "$arch" = arm64 ] && command -v apt-get >/dev/null; then
        use_debian_compiler
    else
        fail "no standard library of Rust for $target: rustup target add $target"
    fi
}

# The compiler that Debian 12 keeps up to date for its web browsers, with its standard library for
# arm64. It is unpacked beside the system, because it conflicts with other packages of Rust.
use_debian_compiler() {
    local folder=$cache/debian-rustc
    if [ ! -x "$folder/rustc" ]; then
        say "Unpacking Debian's rustc-web into $folder"
        command -v dpkg-deb >/dev/null || fail 'no dpkg-deb: install dpkg'
        local fresh=$folder.new
        rm -rf "$fresh" && mkdir -p "$fresh"/{lists/partial,archives/partial,root}
        touch "$fresh/status"
        local keys=/usr/share/keyrings/debian-archive-keyring.gpg mirror=http://deb.debian.org
        [ -f "$keys" ] || need_packages debian-archive-keyring
        printf 'deb [arch=amd64,arm64 signed-by=%s] %s %s main\n' \
            "$keys" "$mirror/debian" bookworm \
            "$keys" "$mirror/debian-security" bookworm-security >"$fresh/sources.list"
        local apt=(apt-get -qq
            -o "Dir::Etc::SourceList=$fresh/sources.list" -o Dir::Etc::SourceParts=/dev/null
            -o "Dir::State::Lists=$fresh/lists" -o "Dir::State::Status=$fresh/status"
            -o "Dir::Cache=$fresh" -o APT::Architectures=amd64,arm64
            -o APT::Sandbox::User=)
        "${apt[@]}" update
        local library
        library=$(apt-cache "${apt[@]:2}" depends libstd-rust-web-dev:amd64 |
            awk '$1 == "Depends:" { print $2; exit }')
        local llvm
        llvm=$(apt-cache "${apt[@]:2}" depends "$library:amd64" |
            awk '$1 == "Depends:" && $2 ~ /^libllvm/ { print $2; exit }')
        (cd "$fresh/archives" && "${apt[@]}" download rustc-web:amd64 "$library:amd64" \
            libstd-rust-web-dev:amd64 "$llvm:amd64" libstd-rust-web-dev:arm64)
        local package
        for package in "$fresh"/archives/*.deb; do
            dpkg-deb --extract "$package" "$fresh/root"
        done
        cat >"$fresh/rustc" <<'WRAPPER'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")/root/usr
export LD_LIBRARY_PATH="$here/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
case " $* " in
*" --sysroot"*) exec "$here/bin/rustc" "$@" ;;
*) exec "$here/bin/rustc" --sysroot "$here" "$@" ;;
esac
WRAPPER
        chmod +x "$fresh/rustc"
        rm -rf "$fresh"/{lists,archives,*.bin}
        mv "$fresh" "$folder"
    fi
    export RUSTC=$folder/rustc
    say "arm64: by $("$RUSTC" --version) of Debian, in $folder"
}
