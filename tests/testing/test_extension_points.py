"""What users add of their own works from a package of theirs, without a line of ours.

The classes are those of the examples that the how-to pages show.
"""

import ast
import importlib
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from conftest import rattled
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from skatom.base import AtomFeaturizer, AtomicRegressor
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge
from skatom.persistence import load, save
from skatom.potential import predict_forces
from skatom.preprocessing import Pool
from skatom.testing import check_featurizer, check_regressor, with_labels
from skatom.uncertainty import ConformalRegressor

EXAMPLES = Path(__file__).parents[2] / "examples"
KINDS = ("featurizer", "model", "error_bar")
# Behind a featurizer: a model of rows, one a structure, whose energies are extensive.
ROWS = (Pool("sum", by_species=True), Ridge(1e-3, fit_intercept=False))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A package with the imports, constants, functions and classes of the examples."""
    folder = tmp_path_factory.mktemp("site") / "mine"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for kind in KINDS:
        (path,) = EXAMPLES.glob(f"plot_*_add_your_own_{kind}.py")
        (folder / f"{kind}.py").write_text(definitions(path))
    sys.path.insert(0, str(folder.parent))
    yield {kind: importlib.import_module(f"mine.{kind}") for kind in KINDS}
    sys.path.remove(str(folder.parent))


def definitions(path: Path) -> str:
    """Imports of a script, its classes, and the functions and constants they need."""
    kept = ast.Import | ast.ImportFrom | ast.ClassDef | ast.FunctionDef
    body = []
    for node in ast.parse(path.read_text()).body:
        names = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
        if isinstance(node, kept) or (names and all(name.isupper() for name in names)):
            body.append(ast.unparse(node))
    return "\n\n".join(body)


def own_class(module):
    """The estimator that a module defines first; others make mistakes on purpose."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseEstimator)
        and value.__module__ == module.__name__
    ]
    return found[0]


@pytest.fixture(scope="module")
def frames():
    names = ("H2O", "H2O2") * 6
    return with_labels(
        [rattled(molecule(name), seed) for seed, name in enumerate(names)]
    )


def estimators(package) -> dict:
    """A pipeline around each class."""
    featurizer, model, error_bar = (own_class(package[kind]) for kind in KINDS)
    return {
        "featurizer": make_pipeline(featurizer(), AtomicRidge()),
        "model": make_pipeline(ACSF(4.0), model(random_state=0)),
        "error_bar": error_bar(make_pipeline(ACSF(4.0), *ROWS), cv=3),
    }


def test_the_classes_are_of_the_kinds_that_they_should_be(package):
    assert issubclass(own_class(package["featurizer"]), AtomFeaturizer)
    assert issubclass(own_class(package["model"]), AtomicRegressor)


def test_a_featurizer_passes_the_contract_checks(package):
    assert check_featurizer(own_class(package["featurizer"])()).passed


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipeline_with_it_passes_the_contract_checks(package, kind):
    assert check_regressor(estimators(package)[kind]).passed


@pytest.mark.parametrize("kind", KINDS)
def test_it_has_forces_and_intervals(package, kind, frames):
    y = [atoms.get_potential_energy() for atoms in frames]
    wrapped = ConformalRegressor(
        clone(estimators(package)[kind]), calibration_size=4, random_state=0
    ).fit(frames, y)
    assert np.isfinite(np.concatenate(predict_forces(wrapped, frames))).all()
    assert wrapped.predict_interval(frames, 0.5)[1].shape == (len(frames), 2)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_pickled_and_saved_under_its_own_name(package, kind, frames, tmp_path):
    y = [atoms.get_potential_energy() for atoms in frames]
    fitted = clone(estimators(package)[kind]).fit(frames, y)
    expected = fitted.predict(frames)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(frames), expected)
    name = f"mine.{kind}.{own_class(package[kind]).__name__}"
    with pytest.warns(UserWarning, match=name):
        path = save(fitted, tmp_path / "mine.skatom")
    with pytest.raises(ValueError, match=f"names {name}"):
        load(path)
    loaded = load(path, trusted=[name])
    np.testing.assert_array_equal(loaded.predict(frames), expected)
