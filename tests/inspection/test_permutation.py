"""Importance of groups of features."""

import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn.pipeline import make_pipeline

from skatom.inspection import feature_groups, group_permutation_importance
from skatom.models import AtomicRidge


def fitted(n=24):
    """Energies of the pairs of hydrogens: other pairs are seen from both ends."""
    names = ("H2O", "CH4", "NH3")
    frames = [rattled(molecule(names[s % 3]), seed=s, stdev=0.1) for s in range(n)]
    step = RadialSums().fit(frames)
    X = step.transform(frames)
    hydrogen = [k for k, name in enumerate(X.feature_names) if "H" in name]
    assert 0 < len(hydrogen) < X.values.shape[1]
    seen = X.values[:, hydrogen].sum(axis=1) * (X.numbers == 1)
    y = np.add.reduceat(seen, X.offsets[:-1])
    return make_pipeline(step, AtomicRidge(alpha=1e-8)).fit(frames, y), frames, y, X


def test_only_what_energies_depend_on_is_important():
    model, frames, y, X = fitted()
    hydrogen = [name for name in X.feature_names if "H" in name]
    rest = [name for name in X.feature_names if "H" not in name]
    found = group_permutation_importance(
        model, frames, y, groups={"hydrogen": hydrogen, "rest": rest}, random_state=0
    )
    assert found.groups == ["hydrogen", "rest"]
    mean = found.importances_mean
    assert mean[0] > 100 * abs(mean[1])
    assert found.importances.shape == (2, 5)
    assert found.importances_std[0] > 0
    assert found.error == pytest.approx(np.abs(model.predict(frames) - y).mean())


def test_importance_is_the_rise_of_the_given_error():
    model, frames, y, X = fitted()
    everything = {"all": list(range(X.values.shape[1]))}

    def largest(y, predicted):
        return np.abs(y - predicted).max()

    kwargs = {"groups": everything, "n_repeats": 2, "random_state": 1}
    found = group_permutation_importance(model, frames, y, error=largest, **kwargs)
    assert found.error == np.abs(model.predict(frames) - y).max()
    again = group_permutation_importance(model, frames, y, error=largest, **kwargs)
    assert np.array_equal(found.importances, again.importances)


def test_atoms_are_shuffled_within_their_element():
    """Were they not, energies of elements would be mixed up: far larger errors."""
    model, frames, _, X = fitted()
    water = [a for a in frames if len(a) == 3][:1] * 2
    found = group_permutation_importance(
        model, water, model.predict(water), n_repeats=1,
        groups={"all": list(range(X.values.shape[1]))}, random_state=0,
    )  # fmt: skip
    # copies of one molecule: only its two hydrogens can trade places
    spread = np.abs(np.diff(model[0].transform(water[:1]).values[1:], axis=0)).sum()
    assert found.importances[0, 0] <= 2 * np.abs(model[-1].coef_).max() * spread + 1e-12


def test_groups_are_kinds_of_functions_and_elements():
    names = ["G2_H_eta1", "G4_H-O_eta1_zeta2", "G4_H-O_eta2_zeta2", "SOAP_C-H_n0_n1_l2"]
    expected = {"G2_H": [0], "G4_H-O": [1, 2], "SOAP_C-H": [3]}
    assert feature_groups(names) == expected


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"groups": {"a": ["nothing"]}}, "The group 'a' holds 'nothing'"),
        ({"groups": {"a": []}}, "The group 'a' holds nothing"),
        ({"groups": {"a": [-1]}}, "The group 'a' holds -1"),
        ({"n_repeats": 0}, "n_repeats is 0"),
    ],
)
def test_groups_that_cannot_be_are_refused(kwargs, message):
    model, frames, y, _ = fitted()
    with pytest.raises(ValueError, match=message):
        group_permutation_importance(model, frames, y, **kwargs)
