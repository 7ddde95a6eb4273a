"""Small instances of everything that predicts, found by discovery."""

from __future__ import annotations

import inspect

import numpy as np
from ase import Atoms
from ase.build import molecule
from sklearn.base import RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import BayesianRidge, LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.base import AtomicRegressor
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge, NeuralNetworkRegressor, SchNetRegressor
from skatom.models._labelled.sum_or_mean import SumOrMean
from skatom.preprocessing import PerAtom, Pool
from skatom.structures._samples import with_labels
from skatom.testing._discovery import all_estimators

# Parameters that make a class small, where it has them.
SMALL = {
    "n_features": 4,
    "n_interactions": 1,
    "n_basis": 4,
    "hidden_layers": (4,),
    "r_cut": 3.0,
    "max_epochs": 2,
    "n_steps": 1,
    "dtype": "float64",
    "random_state": 0,
    "calibration_size": 3,
    "n_members": 2,
    "n_samples": 2,
    "cv": 2,
}
# Parameters of one class alone.
OF_ONE = {
    "AlchemicalKernelRidge": {"n_components": 2},
    "AtomicGaussianProcessRegressor": {"optimizer": None},
    "CalculatorRegressor": {
        "calculator": "lj",
        "shift": True,
        "features": ACSF(3.0, n_radial=3, g4=None),
    },
}
# Estimators of classes that stand around another which not every one does for.
INSIDE = {
    "DropoutRegressor": {"dropout": 0.2},
    "QuantileConformalRegressor": {"loss": "quantile"},
}


def matrix_frames() -> list[Atoms]:
    """Give small molecules of H and O with energies and forces of ASE's EMT.

    Charges and dipole moments are made up: they vary with the geometry.

    Returns
    -------
    frames : list of ase.Atoms
    """
    frames = []
    for k in range(18):
        atoms = molecule(("H2O", "H2O2")[k % 2])
        noise = np.random.default_rng(k).normal(scale=0.06, size=atoms.positions.shape)
        atoms.positions += noise
        charges = np.where(atoms.numbers == 1, 0.2, -0.2) + 0.1 * noise[:, 0]
        charges -= charges.mean()
        atoms.arrays["charges"] = charges
        centre = atoms.get_center_of_mass()
        atoms.info["dipole"] = charges @ (atoms.positions - centre)
        frames.append(atoms)
    return with_labels(frames)


def acsf() -> ACSF:
    """Give a featurizer with few columns."""
    return ACSF(3.0, n_radial=3, g4=None)


def behind_features(model):
    """Put features of atoms in front of a model."""
    return make_pipeline(acsf(), PerAtom(StandardScaler()), model)


def network(**params):
    """Give a small network behind features."""
    params = {"max_epochs": 2, "dtype": "float64", "random_state": 0} | params
    return behind_features(NeuralNetworkRegressor((4,), **params))


def is_wrapper(cls: type) -> bool:
    """Whether a class stands around another estimator."""
    return not {"estimator", "conformal"}.isdisjoint(inspect.signature(cls).parameters)


def small(cls: type, *inside):
    """Make a small instance of a public class."""
    known = inspect.signature(cls).parameters
    params = {name: value for name, value in SMALL.items() if name in known}
    params |= OF_ONE.get(cls.__name__, {})
    if is_wrapper(cls) and cls.__name__ != "CrossConformalRegressor":
        params.pop("cv", None)
    return cls(*inside, **params)


def public_models() -> dict:
    """Make one of every public regressor, on structures.

    Returns
    -------
    models : dict of str to estimator
    """
    return {
        name: _on_structures(name, cls)
        for name, cls in all_estimators("regressor")
        if issubclass(cls, RegressorMixin | Pipeline)
    }


def _on_structures(name: str, cls: type):
    if issubclass(cls, AtomicRegressor):
        return behind_features(small(cls))
    if name == "Potential":
        return cls(behind_features(AtomicRidge()).steps)
    if name == "MessagePassingRegressor":
        from skatom.testing._matrix.module import Wells

        return small(cls, Wells)
    if not is_wrapper(cls):
        return small(cls)
    if "conformal" in inspect.signature(cls).parameters:
        from skatom.uncertainty import ConformalRegressor

        inner = ConformalRegressor(
            behind_features(AtomicRidge()), calibration_size=3, random_state=0
        )
        return cls(inner)
    inside = (
        network(**INSIDE[name]) if name in INSIDE else behind_features(AtomicRidge())
    )
    return small(cls, inside)


def stock_models() -> dict:
    """Combine estimators of scikit-learn with features and networks of ours.

    Returns
    -------
    models : dict of str to estimator
    """
    pooled = make_pipeline(acsf(), Pool("sum"), Ridge())
    ridge = behind_features(AtomicRidge())
    schnet = small(SchNetRegressor)
    return {
        "Ridge": pooled,
        "BayesianRidge": make_pipeline(acsf(), Pool("sum"), BayesianRidge()),
        "GaussianProcessRegressor": make_pipeline(
            acsf(), Pool("sum"), GaussianProcessRegressor(optimizer=None, alpha=1e-3)
        ),
        "FeatureUnion": make_pipeline(
            FeatureUnion([("near", acsf()), ("far", ACSF(4.0, n_radial=2, g4=None))]),
            AtomicRidge(),
        ),
        "GridSearchCV": GridSearchCV(ridge, {"atomicridge__alpha": [0.1, 1.0]}, cv=2),
        "TransformedTargetRegressor": TransformedTargetRegressor(
            pooled, transformer=StandardScaler()
        ),
        "StackingRegressor": StackingRegressor(
            [("ridge", ridge), ("schnet", schnet)], LinearRegression(), cv=2
        ),
        "VotingRegressor": VotingRegressor([("ridge", ridge), ("pooled", pooled)]),
        "BaggingRegressor": BaggingRegressor(ridge, 2, random_state=0),
        "NeuralNetworkRegressor of variances": network(loss="gaussian_nll"),
        "NeuralNetworkRegressor with dropout": network(dropout=0.2),
        "NeuralNetworkRegressor of means": network(target="mean"),
        "SchNetRegressor of means": clone(schnet).set_params(target="mean"),
        **models_of_means(),
        **networks_of_kinds(schnet),
    }


def networks_of_kinds(schnet) -> dict:
    """Make networks of every other kind of target, and of several at once."""
    found = {}
    for name in ("dipole", "dipole_magnitude", "charges", "polarizability"):
        found[f"NeuralNetworkRegressor of {name}"] = network(target=name)
        found[f"SchNetRegressor of {name}"] = clone(schnet).set_params(target=name)
    both = ["energy", "dipole", "charges"]
    found["NeuralNetworkRegressor of several targets"] = network(target=both)
    return found


def models_of_means() -> dict:
    """Make one of every public model of atoms that has means."""
    return {
        f"{name} of means": behind_features(small(cls).set_params(target="mean"))
        for name, cls in all_estimators("regressor")
        if issubclass(cls, SumOrMean)
    }
