"""Distances and rigidities of the last layer as conformity scores, in one line."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge, NeuralNetworkRegressor
from skatom.preprocessing import PerAtom
from skatom.uncertainty import ConformalRegressor, LastLayerRigidity, LatentDistance


@pytest.mark.parametrize(
    ("score", "cls"), [("latent", LatentDistance), ("llpr", LastLayerRigidity)]
)
@pytest.mark.parametrize("network", [False, True])
def test_widths_follow_the_last_layer_of_what_was_trained(score, cls, network):
    data = load_dataset("malonaldehyde", "train")
    model = AtomicRidge(forces=None)
    if network:
        pytest.importorskip("torch")
        model = NeuralNetworkRegressor(
            hidden_layers=(8,), max_epochs=3, forces=None, random_state=0
        )
    conformal = ConformalRegressor(
        make_pipeline(ACSF(r_cut=4.0, g4=None), PerAtom(StandardScaler()), model),
        conformity_score=score,
        calibration_size=40,
        forces=None,
        random_state=0,
    ).fit(data.frames[:70], data.energies[:70])
    test = data.frames[200:240]
    y_pred, intervals = conformal.predict_interval(test)
    train = [data.frames[s] for s in conformal.train_indices_]
    other = cls(conformal.estimator_).fit(train)
    if score == "latent":
        sizes = other.distance(test)
    else:
        sizes = other.predict(test, return_std=True)[1]
    ratio = np.diff(intervals)[:, 0] / sizes
    typical = sizes > 0.05 * np.median(sizes)
    np.testing.assert_allclose(ratio[typical], np.median(ratio), rtol=1e-6)
    assert np.ptp(sizes) > 0.1 * np.median(sizes)
    covered = np.abs(data.energies[200:240] - y_pred) <= np.diff(intervals)[:, 0] / 2
    assert covered.mean() > 0.75  # 40 and 40: standard deviation 0.067
