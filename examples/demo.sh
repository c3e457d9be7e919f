#!/usr/bin/env bash
# Set everything up and run `replica demo`; options go to it. Safe to run again: what is done is skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. examples/setup.sh

ensure_server
make_venv
exec .venv/bin/replica demo "$@"
