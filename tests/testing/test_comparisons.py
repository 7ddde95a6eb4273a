"""Comparisons: what counts as equal is what was said."""

import numpy as np
import pytest

from skatom.testing._comparisons import require_close


@pytest.mark.parametrize("tolerance", [1e-8, 1e-3])
def test_a_difference_beyond_the_tolerance_is_told_and_one_within_it_is_not(tolerance):
    one = np.array([1.0, -4.0])  # relative to the largest
    require_close(one + 4.0 * 0.9 * tolerance, one, "It moves", tolerance)
    with pytest.raises(AssertionError, match="It moves"):
        require_close(one + 4.0 * 1.2 * tolerance, one, "It moves", tolerance)


def test_nothing_is_close_to_nan_or_to_another_shape():
    with pytest.raises(AssertionError, match="It moves"):
        require_close(np.array([np.nan]), np.ones(1), "It moves")
    with pytest.raises(AssertionError, match="shapes differ"):
        require_close(np.ones(2), np.ones(3), "It moves")
