#!/usr/bin/env bash
# All tests, from a bare checkout: set up .venv on first use, then run pytest.
# Arguments go to pytest: bash tests/run.sh -k acsf. Two processes share the tests;
# SKATOM_TEST_WORKERS=0 runs them in one.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/setup test
# One thread each for BLAS and torch: two workers share two cores without spinning.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1
# On first use kernels are compiled by two processes together, not by each worker for itself.
compgen -G 'skatom/neighbors/__pycache__/*.nbc' > /dev/null || python -m skatom compile --jobs 2
exec python -m pytest -n "${SKATOM_TEST_WORKERS:-2}" "$@"
