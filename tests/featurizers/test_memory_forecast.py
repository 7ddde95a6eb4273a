"""estimate_memory against what transform returns, and max_memory."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from conftest import rattled
from radial import RadialSums

from skatom.featurizers import ACSF, AEV, FCHL19, GMP, SOAP, WeightedACSF

FEATURIZERS = [
    ACSF(),
    AEV(),
    FCHL19(),
    GMP(),
    SOAP(4.0, n_max=3, l_max=2),
    WeightedACSF(),
]


def mixed(n: int) -> list:
    """Molecules, crystals and cells of many sizes, in no particular order."""
    rng = np.random.default_rng(0)
    kinds = [
        molecule("CH3OH"),
        molecule("H2O"),
        molecule("C6H6"),
        bulk("Cu", cubic=True) * (2, 2, 2),
        bulk("Al", cubic=True) * (3, 3, 2),
        bulk("Cu", a=3.9),
    ]
    return [rattled(kinds[k], seed=s) for s, k in enumerate(rng.integers(6, size=n))]


def measured(features) -> tuple[int, int]:
    pairs = features.pairs
    arrays = (
        pairs.offsets,
        pairs.neighbors,
        pairs.vectors,
        pairs.shifts,
        pairs.numbers,
    )
    return features.values.nbytes, sum(array.nbytes for array in arrays)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("featurizer", FEATURIZERS, ids=lambda f: type(f).__name__)
def test_forecast_is_what_is_allocated(featurizer, dtype):
    X = [rattled(molecule(n)) for n in ("CH3OH", "C6H6", "H2O")]
    featurizer = type(featurizer)(**featurizer.get_params() | {"dtype": dtype}).fit(X)
    forecast, features = featurizer.estimate_memory(X), featurizer.transform(X)
    assert (forecast.values, forecast.pairs) == measured(features)
    assert forecast.jacobian == features.jacobian(1).nbytes
    assert forecast.total == forecast.values + forecast.pairs


def test_forecast_of_a_sample_is_within_ten_per_cent(monkeypatch):
    monkeypatch.setattr("skatom.base._featurizer.SAMPLE_ATOMS", 2000)
    X = mixed(600)
    assert sum(map(len, X)) > 4 * 2000
    featurizer = ACSF(r_cut=5.0, g4=None).fit(X)
    forecast, features = featurizer.estimate_memory(X), featurizer.transform(X)
    values, pairs = measured(features)
    assert forecast.values == values
    np.testing.assert_allclose(forecast.pairs, pairs, rtol=0.1)
    s = int(np.argmax(np.diff(features.pairs.offsets[features.offsets])))
    largest = features[[s]].pairs.n_pairs * 3 * featurizer.n_atom_features_ * 8
    np.testing.assert_allclose(forecast.jacobian, largest, rtol=0.1)


def test_forecast_of_nothing_is_zero():
    forecast = ACSF().fit([molecule("H2O")]).estimate_memory([])
    assert (forecast.total, forecast.jacobian, forecast.n_atoms) == (0, 0, 0)


def test_too_much_is_refused_before_it_is_computed(monkeypatch):
    X = [molecule("CH3OH")] * 50
    featurizer = SOAP(4.0, n_max=4, l_max=3, max_memory="500kB").fit(X)
    called = []
    monkeypatch.setattr(SOAP, "block_values", lambda *args: called.append(args))
    message = (
        r"The features of 50 structures \(749 kB for 312 features of 300 atoms, .*\) "
        r"would take 820 kB, more than max_memory='500kB'\. Give fewer structures at a "
        r"time .*PerAtom\(SelectFPS\(\)\).*float32.*FeatureStore"
    )
    with pytest.raises(MemoryError, match=message):
        featurizer.transform(X)
    assert not called
    monkeypatch.undo()
    assert featurizer.transform(X[:10]).values.any()
    assert featurizer.set_params(dtype="float32").fit_transform(X).values.any()


def test_a_jacobian_that_is_too_large_is_refused():
    X = [molecule("C6H6")]
    features = ACSF(max_memory=300_000).fit_transform(X)
    with pytest.raises(MemoryError, match=r"The Jacobian of \d+ features by 132 pair"):
        features.jacobian()


def test_a_featurizer_without_the_parameters_has_no_limit(water):
    assert RadialSums().fit([water]).max_memory is None
    assert RadialSums().fit([water]).estimate_memory([water]).n_atoms == 3
