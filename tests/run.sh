#!/usr/bin/env bash
# Set everything up, then check and test. Safe to run again: what is done is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. examples/setup.sh

usage() {
    cat >&2 <<'TEXT'
tests/run.sh                     checks, then all tests, with this machine's MariaDB
tests/run.sh --servers all       with MariaDB 11.8 and MySQL 9.7 too (root; fetched once into the cache folder)
tests/run.sh --servers mysql     with servers named as in tests/support/servers.py
tests/run.sh checks              ruff, mypy and import-linter only
tests/run.sh unit                tests that need no server, in seconds
tests/run.sh tests/flow/test_x.py -k word      a part; other options go to pytest too
TEXT
}

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

part=""
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    --servers)
        [ $# -ge 2 ] || fail "--servers needs a value: all, or names as in tests/support/servers.py"
        export REPLICA_TEST_SERVERS=$2
        shift
        ;;
    checks | unit) part=$1 ;;
    -h | --help) usage && exit 0 ;;
    *)
        part=${part:-some}
        arguments+=("$1")
        ;;
    esac
    shift
done

step() {
    say "== $*"
    "$@" || {
        local status=$?
        say "failed: $* (status $status)"
        exit "$status"
    }
}

usage
make_venv dev
if [ -z "$part" ] || [ "$part" = checks ]; then
    step .venv/bin/ruff check .
    step .venv/bin/ruff format --check .
    step .venv/bin/mypy
    step .venv/bin/lint-imports
fi
[ "$part" != checks ] || exit 0
if [ "$part" = unit ]; then
    step .venv/bin/python -m pytest tests/unit "${arguments[@]}"
    exit 0
fi
ensure_server
[ "${REPLICA_TEST_SERVERS:-}" != all ] || prepare_roots
# A whole run mostly waits, for servers and clocks: several processes, each with servers of its own.
[ "${#arguments[@]}" -gt 0 ] || arguments=(-n 4 --dist worksteal)
step .venv/bin/python -m pytest "${arguments[@]}"
