"""One pytest test for every check."""

from __future__ import annotations

from collections.abc import Sequence

from skatom.testing._featurizer import featurizer_checks
from skatom.testing._regressor import regressor_checks
from skatom.testing._report import check_name


def parametrize_with_checks(estimators: Sequence, **options):
    """Decorate a test that takes ``check``, to run once for every check.

    Parameters
    ----------
    estimators : sequence of estimators
        Featurizers, models or pipelines, unfitted. What has ``predict`` gets the checks
        of :func:`check_regressor`, others those of :func:`check_featurizer`.
    **options
        Passed to :func:`featurizer_checks` or :func:`regressor_checks`.

    Returns
    -------
    decorator : pytest.MarkDecorator

    See Also
    --------
    sklearn.utils.estimator_checks.parametrize_with_checks : For matrices.

    Examples
    --------
    >>> from skatom.featurizers import ACSF
    >>> from skatom.testing import parametrize_with_checks
    >>> @parametrize_with_checks([ACSF(r_cut=4.0)])
    ... def test_acsf(check):
    ...     check()
    """
    import pytest

    cases = []
    for estimator in estimators:
        list_checks = (
            regressor_checks if hasattr(estimator, "predict") else featurizer_checks
        )
        for check in list_checks(estimator, **options):
            name = f"{type(estimator).__name__}-{check_name(check)}"
            cases.append(pytest.param(check, id=name))
    return pytest.mark.parametrize("check", cases)
