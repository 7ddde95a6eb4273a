#!/usr/bin/env bash
# The main job, from a bare checkout: set up .venv on first use, then run `skatom demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/setup viz share
exec skatom demo "$@"
