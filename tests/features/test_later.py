"""Values that were kept: derivatives follow without computing values again."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from radial import RadialSums

from skatom.features import NoDerivativeError
from skatom.features._later import FeaturizedLater
from skatom.preprocessing import CachedFeaturizer
from skatom.store import FeatureStore
from skatom.structures import check_structures

SALTED = [
    molecule("H2O"),
    molecule("CH3Cl"),
    molecule("NaCl"),
    bulk("NaCl", "rocksalt", 5.6),
]


def from_cache(featurizer, tmp_path):
    cached = CachedFeaturizer(featurizer).fit(SALTED)
    cached.transform(SALTED)
    return cached.transform(SALTED)


def from_store(featurizer, tmp_path):
    store = FeatureStore(tmp_path / "store", featurizer)
    store.extend(SALTED)
    return store[:]


@pytest.mark.parametrize("kept", [from_cache, from_store])
@pytest.mark.parametrize("species", [["H", "C", "O", "Na", "Cl"], ["H", "C", "Cl"]])
def test_ignored_species_are_dropped_from_the_pairs(
    kept, species, tmp_path, monkeypatch
):
    featurizer = RadialSums(species=species, handle_unknown="ignore").fit(SALTED)
    expected = featurizer.transform(SALTED)
    found = kept(featurizer, tmp_path)
    # from here on nothing may be computed again
    monkeypatch.setattr(RadialSums, "block_values", None)
    assert found.steps[0].get_params() == featurizer.get_params()
    assert "_made" not in vars(found.origin)
    part = found[[3, 1]]
    np.testing.assert_array_equal(part.pairs.vectors, expected[[3, 1]].pairs.vectors)
    np.testing.assert_array_equal(found.pairs.vectors, expected.pairs.vectors)
    g = np.random.default_rng(0).normal(size=expected.values.shape)
    np.testing.assert_array_equal(found.pullback(g), expected.pullback(g))
    np.testing.assert_array_equal(found[1:].jacobian(0), expected[1:].jacobian(0))
    assert found.feature_names == expected.feature_names


def test_values_without_their_featurizer_have_no_derivatives():
    origin = FeaturizedLater(None, check_structures(SALTED), [])
    assert origin.steps == ()
    with pytest.raises(NoDerivativeError, match=r"FeatureStore\(path, featurizer\)"):
        origin.jacobian()
