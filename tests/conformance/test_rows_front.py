"""A front that reads rows of numbers as molecules keeps them apart."""

import numpy as np
from fronted import SMALL, FrontedACSF


def test_different_rows_become_different_molecules():
    X = np.random.default_rng(0).normal(size=(20, 3))
    values = FrontedACSF(**SMALL).fit_transform(X)
    assert len(np.unique(values.round(9), axis=0)) == 20
