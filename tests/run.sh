#!/usr/bin/env bash
# Set everything up, then check and test. Safe to run again: what is done is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Container images often set this. Each of the thousands of commands that the tests start would compile every module.
unset PYTHONDONTWRITEBYTECODE
. examples/setup.sh
. tests/server_roots.sh

usage() {
    cat >&2 <<'TEXT'
tests/run.sh                     checks, then all tests, with this machine's MariaDB
tests/run.sh --servers all       with MariaDB 11.8 and MySQL 9.7 too (root; fetched once into the cache folder)
tests/run.sh --servers mysql     with servers named as in tests/support/servers.py
tests/run.sh --everything        with all servers, and each test with each release of them: half as long again
tests/run.sh checks              ruff, mypy, import-linter, the words, the build of docs/ only
tests/run.sh unit                tests that need no server, in seconds
tests/run.sh docs                write the generated parts of docs/, then build docs/ into site/
tests/run.sh tests/flow/test_x.py -k word      a part; other options go to pytest too
TEXT
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
    --everything) export REPLICA_TEST_SERVERS=all REPLICA_TEST_EVERYTHING=1 ;;
    checks | unit | docs) part=$1 ;;
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

# Fails if a page links to a page or a heading that does not exist. Takes a second.
build_docs() {
    step .venv/bin/zensical build --strict --clean
}

usage
make_venv dev,docs
if [ "$part" = docs ]; then
    step env PYTHONPATH=. .venv/bin/python -m tests.docs.generate
    build_docs
    exit 0
fi
if [ -z "$part" ] || [ "$part" = checks ]; then
    step .venv/bin/ruff check .
    step .venv/bin/ruff format --check .
    step .venv/bin/mypy
    step .venv/bin/lint-imports
    step .venv/bin/python -m tests.architecture.words
    build_docs
fi
[ "$part" != checks ] || exit 0
if [ "$part" = unit ]; then
    step .venv/bin/python -m pytest tests/unit "${arguments[@]}"
    exit 0
fi
ensure_server
if [ "${REPLICA_TEST_SERVERS:-}" = all ]; then
    prepare_roots
    prepare_observers
fi
# A whole run mostly waits, for servers and clocks: several processes, each with servers of its own.
[ "${#arguments[@]}" -gt 0 ] || arguments=(-n 4 --dist worksteal)
step .venv/bin/python -m pytest "${arguments[@]}"
