"""Public estimators are found; nothing has to be listed twice."""

import pytest
from sklearn.base import BaseEstimator

from skatom.testing import all_estimators, parametrize_with_checks
from skatom.testing._report import check_name


def test_every_kind_is_found():
    found = dict(all_estimators())
    assert {"ACSF", "PerAtom", "Pool", "AtomicRidge", "Potential"} <= set(found)
    assert all(issubclass(cls, BaseEstimator) for cls in found.values())
    assert list(found) == sorted(found)


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        ("featurizer", "ACSF", "AtomicRidge"),
        ("model", "AtomicKernelRidge", "CompositionBaseline"),
        ("transformer", "Pool", "AtomicRidge"),
        ("regressor", "CompositionBaseline", "Pool"),
    ],
)
def test_kinds_tell_estimators_apart(kind, inside, outside):
    names = [name for name, _ in all_estimators(kind)]
    assert inside in names
    assert outside not in names


def test_an_unknown_kind_is_answered_with_the_closest():
    with pytest.raises(
        ValueError, match=r"kind is 'regresor'.*Did you mean 'regressor'"
    ):
        all_estimators("regresor")


def test_one_test_is_made_of_every_check():
    from skatom.featurizers import ACSF
    from skatom.models import AtomicRidge

    mark = parametrize_with_checks([ACSF(), AtomicRidge()])
    ids = [case.id for case in mark.args[1]]
    assert "ACSF-check_rotation" in ids
    assert "AtomicRidge-check_forces_match_differences" in ids
    assert len(ids) == len(set(ids))
    assert check_name(mark.args[1][0].values[0]) == "check_fit_returns_self"
