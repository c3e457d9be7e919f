# Servers of other releases, a browser and Prometheus, for `tests/run.sh --servers all`: sourced, not run. Needs examples/setup.sh.

# What is missing is said and left out: the tests' first lines name the servers that are covered.
prepare_roots() {
    prepare_root trixie mariadb-server-core usr/sbin/mariadbd
    prepare_root sid mysql-server-core usr/sbin/mysqld
}

# prepare_root suite package program
prepare_root() {
    local suite=$1 package=$2 program=$3 mirror root building
    root="${XDG_CACHE_HOME:-$HOME/.cache}/replica-servers/$suite"
    if [ "$(id -u)" != 0 ]; then
        say "without root $package of $suite is not covered"
        return
    fi
    [ ! -x "$root/$program" ] || return 0
    command -v debootstrap >/dev/null || install_debootstrap || true
    mirror=$(debian_mirror)
    if ! command -v debootstrap >/dev/null || [ -z "$mirror" ]; then
        say "without debootstrap and a Debian mirror in apt's sources $package of $suite is not covered"
        return
    fi
    say "fetching $package of $suite into $root (once, a few minutes)"
    # Built beside its place: a run that is cut short leaves nothing that looks finished.
    building="$root.new"
    rm -rf "$building"
    mkdir -p "${root%/*}"
    if use_apt_proxy && build_root "$suite" "$package" "$mirror" "$building" >"$root.log" 2>&1; then
        rm -rf "$root"
        mv "$building" "$root"
        rm -f "$root.log"
    else
        rm -rf "$building"
        say "$package of $suite could not be fetched and is not covered; see $root.log"
    fi
}

build_root() {
    debootstrap --variant=minbase "$1" "$4" "$3" &&
        chroot "$4" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$2" &&
        chroot "$4" apt-get clean
}

install_debootstrap() {
    command -v apt-get >/dev/null || return 1
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null 2>&1
}

# Programs that some tests look at replica with: Prometheus, a browser, systemd's checks of units. Root and Debian only.
# What is missing is said, and its tests are skipped.
prepare_observers() {
    local programs="prometheus prometheus-node-exporter chromium chromedriver systemd-analyze" missing="" name
    for name in $programs; do
        command -v "$name" >/dev/null || missing="$missing $name"
    done
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "not covered without root and apt-get:$missing"
        return 0
    fi
    say "installing for tests:$missing"
    apt-cache show chromium-driver >/dev/null 2>&1 || apt-get update -qq >&2
    without_services apt-get install -y -qq --no-install-recommends \
        prometheus prometheus-node-exporter chromium chromium-driver systemd >/dev/null 2>&1 ||
        say "could not be installed, so not all of these are covered:$missing"
}

# Packages of servers must not start them: the tests start their own.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        DEBIAN_FRONTEND=noninteractive "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    DEBIAN_FRONTEND=noninteractive "$@"
    local status=$?
    rm -f "$policy"
    return "$status"
}

# The mirror that this machine uses; empty where its packages are not Debian's.
debian_mirror() {
    command -v apt-get >/dev/null || return 0
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' 2>/dev/null | head -n 1
}

use_apt_proxy() {
    local proxy=""
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    [ -z "$proxy" ] || export http_proxy="$proxy"
}
