"""What closed-form models keep is stored as arrays under names, and comes back."""

import json
import pickle
import zipfile
from io import BytesIO

import numpy as np
import pytest
import skops.io
from ase.build import molecule
from conftest import labelled, rattled
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct

from skatom.base import Target
from skatom.featurizers import ACSF
from skatom.models import (
    AlchemicalKernelRidge,
    AtomicGaussianProcessRegressor,
    AtomicKernelRidge,
    AtomicKernelRidgeCV,
    AtomicRidge,
    AtomicRidgeCV,
)
from skatom.persistence import load, save
from skatom.structures import read_energies

FRAMES = [labelled(rattled(molecule("CH3OH"), seed, 0.05)) for seed in range(8)]
MODELS = {
    "ridge": AtomicRidge(),
    "ridge_cv": AtomicRidgeCV(),
    "exact": AtomicKernelRidge(),
    "sparse": AtomicKernelRidge(n_references=10, gamma="species"),
    "composed": AtomicKernelRidge(
        kernel=ConstantKernel(2.0) * RBF(2.0) + (DotProduct() * RBF(3.0)) ** 2
    ),
    "kernel_cv": AtomicKernelRidgeCV(alphas=[1e-3], gammas=[0.1]),
    "dense": AtomicGaussianProcessRegressor(optimizer=None),
    "species": AtomicGaussianProcessRegressor(optimizer=None, by_species=True),
    "iterative": AtomicGaussianProcessRegressor(
        optimizer=None, solver="iterative", n_inducing_labels=60, random_state=0
    ),
    "projected": AtomicGaussianProcessRegressor(
        optimizer=None, solver="sparse", n_inducing_labels=60, random_state=0
    ),
    "alchemical": AlchemicalKernelRidge(2, n_steps=0),
}


def modules_in(body):
    """Modules of all classes that a body of skops names."""
    with zipfile.ZipFile(BytesIO(body)) as archive:
        schema = json.loads(archive.read("schema.json"))
    found, todo = set(), [schema]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            found.add(node.get("__module__"))
            todo += node.values()
        elif isinstance(node, list):
            todo += node
    return {name for name in found if isinstance(name, str)}


@pytest.mark.filterwarnings("ignore:Conjugate gradients left")
@pytest.mark.parametrize("name", MODELS)
def test_files_name_no_private_class_and_predict_the_same(name, tmp_path):
    X = ACSF(4.0).fit_transform(FRAMES)
    model = MODELS[name].fit(X[:6], read_energies(FRAMES)[:6])
    named = {m for m in modules_in(skops.io.dumps(model)) if m.startswith("skatom")}
    assert named == {type(model).__module__, Target.__module__}  # two public classes
    for again in (
        load(save(model, tmp_path / "model.skatom")),
        pickle.loads(pickle.dumps(model)),
    ):
        for method in ("predict", "predict_atoms", "feature_gradient"):
            np.testing.assert_array_equal(
                getattr(again, method)(X), getattr(model, method)(X)
            )


@pytest.mark.parametrize("name", ["dense", "iterative", "projected"])
@pytest.mark.filterwarnings("ignore:Conjugate gradients left")
def test_processes_keep_what_deviations_and_later_labels_need(name):
    X, y = ACSF(4.0).fit_transform(FRAMES), read_energies(FRAMES)
    model = MODELS[name].fit(X[:6], y[:6])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.forces_std(X), model.forces_std(X))
    if name != "iterative":
        model.partial_fit(X[6:], y[6:])
        again.partial_fit(X[6:], y[6:])
    for kept, expected in zip(
        again.predict(X, return_std=True), model.predict(X, return_std=True)
    ):
        np.testing.assert_array_equal(kept, expected)
