"""Featurizers work where numba's compiler was switched off for debugging."""

import os
import subprocess
import sys

RUN = """
from numba import njit
mine = njit(lambda x: x)
from ase.build import molecule
from skatom.featurizers import ACSF
print(type(mine).__name__, ACSF(r_cut=4.0).fit_transform([molecule("H2O")]).shape)
"""


def test_kernels_are_compiled_all_the_same_and_that_is_said():
    run = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )  # fmt: skip
    assert not run.returncode, run.stderr
    assert run.stdout.split() == ["function", "(1,", "120)"]
    assert "NUMBA_DISABLE_JIT is set, but kernels of skatom use vector" in run.stderr
