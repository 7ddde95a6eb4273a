"""Work shared over threads; BLAS is kept quiet for small systems."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from skatom._runtime.threads import (
    ATOMS_WORTH_A_THREAD,
    few_blas_threads,
    run_chunks,
)


def test_small_systems_keep_blas_to_one_thread():
    np.ones((2, 2)) @ np.ones((2, 2))  # BLAS is loaded

    def blas_threads():
        return {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}

    before = blas_threads()
    with few_blas_threads(9):
        assert blas_threads() == {1}
    assert blas_threads() == before
    with few_blas_threads(ATOMS_WORTH_A_THREAD):
        assert blas_threads() == before


@pytest.mark.parametrize("n_atoms", [3, 5000])
def test_zero_jobs_are_refused_for_systems_of_any_size(n_atoms):
    weights = np.arange(n_atoms + 1)
    with pytest.raises(ValueError, match="n_jobs == 0"):
        run_chunks(lambda start, stop: None, weights, 0)
