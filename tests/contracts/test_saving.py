"""Every public estimator, fitted, comes back from its file."""

import numpy as np
import pytest
from exemplars import FEATURES, MODELS, REGRESSORS, small

from skatom.persistence import TRUSTED, load, save
from skatom.potential import make_potential
from skatom.testing import check_frames, with_labels


@pytest.fixture(scope="module")
def frames():
    return with_labels(check_frames())


@pytest.mark.parametrize("name", [*MODELS, *REGRESSORS])
def test_regressors_come_back(name, frames, tmp_path):
    regressor = REGRESSORS.get(name) or make_potential(small(), MODELS[name])
    y = [atoms.get_potential_energy() for atoms in frames]
    regressor.fit(frames, y)
    loaded = load(save(regressor, tmp_path / "regressor"))
    np.testing.assert_array_equal(loaded.predict(frames), regressor.predict(frames))


@pytest.mark.parametrize("name", FEATURES)
def test_featurizers_come_back(name, frames, tmp_path):
    featurizer = FEATURES[name].fit(frames)
    loaded = load(save(featurizer, tmp_path / "featurizer"))
    expected = featurizer.transform(frames).values
    np.testing.assert_array_equal(loaded.transform(frames).values, expected)


def test_no_private_class_is_trusted():
    assert not [name for name in TRUSTED if name.startswith("skatom.") and "._" in name]
