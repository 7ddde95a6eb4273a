"""Threads: BLAS is kept quiet for small systems."""

import numpy as np
from threadpoolctl import threadpool_info

from skatom._parallel import ATOMS_WORTH_A_THREAD, few_blas_threads


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
