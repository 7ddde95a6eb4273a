"""Fitted state is complete: parameters matter in fit and nowhere else."""

import inspect
from contextlib import suppress

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from conftest import rattled
from sklearn.base import BaseEstimator

from skatom import featurizers
from skatom.base import AtomFeaturizer
from skatom.features import AtomFeatures, NoDerivativeError
from skatom.featurizers import ACSF, MBTR, SOAP, Composition, CoulombMatrix

LIVE = ("n_jobs", "max_memory", "verbose")
MOLECULES = [rattled(molecule(n), seed=k) for k, n in enumerate(("CH3OH", "H2O", "CO"))]
CRYSTALS = [rattled(bulk("NaCl", "rocksalt", a=5.6)), bulk("Cu", cubic=True)]
ALL = {
    name: value()
    for name in featurizers.__all__
    if inspect.isclass(value := getattr(featurizers, name))
    and issubclass(value, BaseEstimator)
} | {
    "Composition of properties": Composition("properties"),
    "CoulombMatrix of atoms": CoulombMatrix(rows="atoms"),
    "CoulombMatrix at random": CoulombMatrix("random"),
    "CoulombMatrix eigenvalues": CoulombMatrix("eigenspectrum"),
    "MBTR of triples": MBTR("cosine", normalization="n_atoms"),
    "MBTR of pairs": MBTR("distance", weighting="inverse_square"),
}


def everything(featurizer, frames) -> dict:
    """Names, values and derivatives, where there are some."""
    X = featurizer.transform(frames)
    found = {"names": featurizer.get_feature_names_out()}
    if not isinstance(X, AtomFeatures):
        found["rows"] = X
        with suppress(AttributeError, NoDerivativeError):
            found["gradient"] = featurizer.pullback_structures(frames, np.ones_like(X))
        return found
    found["values"] = X.values
    if featurizer.__class__ is not featurizers.LMBTR:
        found["gradient"] = X.pullback(np.ones_like(X.values))
        found["jacobian"] = X.jacobian(0)
    return found


@pytest.mark.parametrize("name", ALL)
def test_set_params_changes_nothing_until_the_next_fit(name):
    featurizer = ALL[name]
    if type(featurizer).__module__.split(".")[-1] in (
        "ewald_sum_matrix", "lmbtr", "mbtr", "sine_matrix", "valle_oganov",
    ):  # fmt: skip
        pytest.importorskip("dscribe")
    frames = MOLECULES if isinstance(featurizer, CoulombMatrix) else CRYSTALS
    featurizer.fit(frames)
    before = everything(featurizer, frames)
    wrong = {p: None for p in featurizer.get_params() if p not in LIVE}
    after = everything(featurizer.set_params(**wrong), frames)
    assert before.keys() == after.keys()
    for what, value in before.items():
        np.testing.assert_array_equal(after[what], value, err_msg=what)


def test_larger_parameters_do_not_reach_compiled_code():
    frames = [rattled(molecule("CH3CH2OH"), seed=k) for k in range(300)]
    soap = SOAP(4.0, n_max=2, l_max=1).fit(frames)
    expected = soap.transform(frames)
    found = soap.set_params(n_max=8, l_max=6, sigma=0.3, r_cut=6.0).transform(frames)
    np.testing.assert_array_equal(found.values, expected.values)
    assert found.pairs.n_pairs == expected.pairs.n_pairs
    assert soap.fit(frames).transform(frames[:1]).values.shape == (9, 2100)


def test_a_fit_that_fails_leaves_an_unfitted_estimator():
    """Not one with the species of one fit and the arrays of another."""
    acsf = ACSF(4.0).fit([molecule("H2")])
    with pytest.raises(ValueError, match="g2, g4 and g5 are all empty"):
        acsf.set_params(g2=None, g4=None).fit(MOLECULES)
    with pytest.raises(ValueError, match="This ACSF instance is not fitted yet"):
        acsf.transform(MOLECULES)


def test_a_featurizer_without_functions_says_what_it_needs():
    class Nothing(AtomFeaturizer):
        def __init__(
            self, r_cut=3.0, species=None, handle_unknown="error", n_jobs=None
        ):
            self.r_cut, self.species = r_cut, species
            self.handle_unknown, self.n_jobs = handle_unknown, n_jobs

        def columns(self):
            return []

    with pytest.raises(
        NotImplementedError, match=r"Nothing defines no functions.*terms"
    ):
        Nothing().fit_transform([Atoms("H")])
