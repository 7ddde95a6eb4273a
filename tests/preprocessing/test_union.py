"""Per-atom features side by side, ours and scikit-learn's way."""

import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn import config_context
from sklearn.base import clone
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import StandardScaler

from skatom.features import AtomFeatures
from skatom.preprocessing import AtomFeatureUnion, PerAtom

PARTS = [("near", RadialSums(3.0)), ("far", RadialSums(5.0, etas=(0.2,)))]


@pytest.fixture
def frames():
    return [rattled(molecule(n)) for n in ("H2O", "CH4")]


@pytest.mark.parametrize("cls", [AtomFeatureUnion, FeatureUnion])
def test_columns_are_those_of_the_parts(frames, cls):
    union = clone(cls(PARTS)).fit(frames)
    found = union.transform(frames)
    expected = [part.fit_transform(frames).values for _, part in PARTS]
    np.testing.assert_array_equal(found.values, np.hstack(expected))
    names = union.get_feature_names_out()
    assert [names[0], names[-1]] == ["near__G_H_eta0.1", "far__G_O_eta0.2"]
    assert found.pullback(found.values).shape == (found.pairs.n_pairs, 3)


def test_output_stays_per_atom_when_data_frames_are_asked_for(frames):
    union = clone(AtomFeatureUnion(PARTS)).set_output(transform="pandas")
    assert isinstance(union.fit_transform(frames), AtomFeatures)
    with config_context(transform_output="pandas"):
        assert isinstance(union.transform(frames), AtomFeatures)


def test_joins_per_atom_steps_too(frames):
    features = RadialSums().fit_transform(frames)
    union = AtomFeatureUnion(
        [
            ("raw", PerAtom(StandardScaler(with_std=False))),
            ("scaled", PerAtom(StandardScaler())),
        ]
    )
    assert union.fit_transform(features).shape == (2, 2 * features.shape[1])


def test_weights_are_refused(frames):
    union = AtomFeatureUnion(PARTS, transformer_weights={"near": 2.0})
    with pytest.raises(ValueError, match="takes no transformer_weights"):
        union.fit(frames)
