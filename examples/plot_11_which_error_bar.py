"""
Four error bars on the same data
================================

An ensemble, dropout, the distance to the training structures in the last hidden layer, and
the rigidity of the last layer: how large they are as they come, how large they should be,
and which of them knows where the errors are.
"""

# %%
# Energies of a drug-like molecule at 300 K. Features of atoms are summed once; a quarter
# of the frames is for calibration and a quarter for the test.
import matplotlib.pyplot as plt
import numpy as np
from scipy.special import ndtri
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom import metrics
from skatom.datasets import load_dataset
from skatom.featurizers import SOAP
from skatom.models import NeuralNetworkRegressor
from skatom.preprocessing import Pool
from skatom.uncertainty import DropoutRegressor, EnsembleRegressor, calibrate_std

data = load_dataset("3bpa", "train")
summed = make_pipeline(SOAP(5.0, n_max=5, l_max=3), Pool("sum", by_species=True))
X, y = summed.fit_transform(data.frames), data.energies - data.energies.mean()
order = np.random.default_rng(0).permutation(len(y))
train, held_out, test = np.split(order, [250, 375])


def network(dropout=0.0):
    """Networks on the principal components of the features."""
    layers = NeuralNetworkRegressor(
        (64, 64), dropout=dropout, forces=None, batch_size=16, max_epochs=100,
        random_state=0,
    )  # fmt: skip
    return make_pipeline(PCA(60), StandardScaler(), layers)


# %%
# The first two have error bars of their own. The other two look at one trained network.
ensemble = EnsembleRegressor(network(), 5, diversity="seeds", random_state=0)
dropout = DropoutRegressor(network(0.1), 20, random_state=0)
ensemble.fit(X[train], y[train])
dropout.fit(X[train], y[train])
alone = ensemble.estimators_[0]
one = make_pipeline(*ensemble.features_, alone)

calibrated = {
    "ensemble": calibrate_std(ensemble, X[held_out], y[held_out], method="affine"),
    "dropout": calibrate_std(dropout, X[held_out], y[held_out], method="affine"),
    "latent distance": calibrate_std(
        one, X[held_out], y[held_out], source="latent", X_train=X[train]
    ),
    "LLPR": calibrate_std(
        one, X[held_out], y[held_out], source="llpr", X_train=X[train]
    ),
}
found = {
    name: model.predict(X[test], return_std=True) for name, model in calibrated.items()
}
raw = {
    "ensemble": ensemble.predict(X[test], return_std=True),
    "dropout": dropout.predict(X[test], return_std=True),
}

# %%
# An area is that between a calibration curve and the diagonal: 0 where error bars have the
# right size on average. The rank correlation tells whether they know where errors are. The
# continuous ranked probability score (CRPS) has the unit of an error, counts both, and
# decides.
print("                       MAE   area  Spearman   CRPS (eV)")
for title, table in (("as they come", raw), ("calibrated", found)):
    print(title)
    for name, (y_pred, std) in table.items():
        print(
            f"  {name:17} {np.mean(abs(y[test] - y_pred)):6.3f} "
            f"{metrics.miscalibration_area(y[test], y_pred, std):6.3f} "
            f"{metrics.spearman_of_errors(y[test], y_pred, std):8.2f} "
            f"{metrics.crps(y[test], y_pred, std):10.4f}"
        )

# %%
# Scatter as it comes is too small: curves far below the diagonal. After calibration all
# four follow it.
levels = np.linspace(0.02, 0.98, 49)
_, axes = plt.subplots(1, 2, figsize=(8, 4), sharey=True, layout="constrained")
for ax, table, title in zip(axes, (raw, found), ("As they come", "Calibrated")):
    for name, (y_pred, std) in table.items():
        z = np.abs(y[test] - y_pred) / std
        shares = [(z <= ndtri((1 + level) / 2)).mean() for level in levels]
        ax.plot(levels, shares, label=name)
    ax.plot([0, 1], [0, 1], color="0.7")
    ax.set(title=title, xlabel="Probability of the central interval")
    ax.legend()
axes[0].set_ylabel("Share of frames inside")

for name, (y_pred, std) in found.items():
    assert metrics.miscalibration_area(y[test], y_pred, std) < 0.1, name
    assert (std > 0).all()
for name, (y_pred, std) in raw.items():
    assert metrics.crps(y[test], *found[name]) < metrics.crps(y[test], y_pred, std), (
        name
    )
