"""base="auto": what helps is chosen, what does not is found out."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from conftest import rattled
from radial import RadialSums
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline

from skatom.bases import NAMED, LennardJones
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge, CompositionBaseline
from skatom.persistence import load, save
from skatom.potential import CalculatorRegressor, DeltaRegressor, evaluate
from skatom.preprocessing import Pool
from skatom.structures import relabel


@pytest.fixture(scope="module")
def frames():
    return [rattled(molecule("CH3OH"), k, 0.08) for k in range(16)]


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """Three bases, so that fits are few."""
    for name in set(NAMED) - {"emt", "lj", "zbl"}:
        monkeypatch.delitem(NAMED, name)


def labelled_by(base, frames):
    """Labels of a base and of free atoms."""
    found = evaluate(CalculatorRegressor(base), frames)
    free = CompositionBaseline({"H": -3.0, "C": -9.0, "O": -8.0}).fit(frames)
    y = found.energies + free.predict(frames)
    return relabel(frames, y, found.forces, [None] * len(frames)), y


def test_the_base_that_is_the_truth_is_chosen(frames, tmp_path):
    X, y = labelled_by("lj", frames)
    features = ACSF(4.0, n_radial=4, g4=None)
    model = DeltaRegressor(make_pipeline(features, AtomicRidge()), "auto").fit(X, y)
    report = model.base_report_
    assert report.chosen == model.base_.calculator == "lj"
    rows = {row["base"]: row for row in report.rows}
    assert rows["none"]["score"] == 1.0
    assert rows["lj"]["score"] < 0.01 < rows["zbl"]["score"]
    assert rows["lj"]["force_mae"] < rows["none"]["force_mae"]
    assert "lj was chosen: the cross-validated errors are 0.00" in str(report)
    loaded = load(save(model, tmp_path / "model"))
    assert str(loaded.base_report_) == str(report)
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_errors_are_those_of_cross_validation(frames):
    X, y = labelled_by("emt", frames)
    pipeline = make_pipeline(RadialSums(), Pool(), Ridge())
    cv = KFold(4)
    model = DeltaRegressor(pipeline, "auto", cv=cv, forces=None).fit(X, y)
    errors = [
        np.abs(
            DeltaRegressor(pipeline, "zbl").fit(X[train], y[train]).predict(X[test])
            - y[test]
        )
        for train, test in cv.split(np.zeros(len(y)))
    ]
    row = next(row for row in model.base_report_.rows if row["base"] == "zbl")
    assert row["energy_mae"] == pytest.approx(np.concatenate(errors).mean())


def test_a_base_that_does_not_help_is_found_out(frames):
    y = np.array([np.linalg.norm(a.positions[0] - a.positions[1]) ** 2 for a in frames])
    pipeline = make_pipeline(RadialSums(), Pool(), Ridge(1e-8))
    model = DeltaRegressor(pipeline, "auto").fit(frames, 10.0 * y)
    if model.base_report_.chosen == "none":
        assert model.base_ is None
        assert "No base was chosen" in model.base_report_.why
    same = DeltaRegressor(pipeline, None).fit(frames, 10.0 * y)
    chosen = next(r for r in model.base_report_.rows if r["base"] == "none")
    assert chosen["score"] == 1.0
    alone = pipeline.fit(frames, 10.0 * y)
    np.testing.assert_allclose(same.predict(frames), alone.predict(frames))


def test_bases_that_cannot_are_listed_with_the_reason(frames):
    some = [Atoms("SiH", [[0, 0, 0], [0, 0, 1.4 + 0.02 * k]]) for k in range(8)]
    pipeline = make_pipeline(RadialSums(), Pool(), Ridge())
    model = DeltaRegressor(pipeline, "auto").fit(some, np.arange(8.0))
    rows = {row["base"]: row for row in model.base_report_.rows}
    assert rows["emt"]["reason"] == "there are no parameters for Si"
    assert rows["emt"]["score"] is None
    assert "there are no parameters for Si" in str(model.base_report_)


def test_a_base_that_fails_for_a_structure_is_no_candidate(frames, monkeypatch):
    class Failing(LennardJones):
        name = "failing"

        def refusal(self, atoms):
            return None

        def prepared(self, atoms):
            copy = super().prepared(atoms)
            copy.positions *= np.nan
            return copy

    monkeypatch.setitem(NAMED, "failing", Failing)
    X, y = labelled_by("emt", frames)
    pipeline = make_pipeline(RadialSums(), Pool(), Ridge())
    model = DeltaRegressor(pipeline, "auto", on_failure="drop").fit(X, y)
    row = model.base_report_.rows[-1]
    assert "'failing' failed for structure 0" in row["reason"]


def test_too_few_structures_to_compare_are_refused(frames):
    pipeline = make_pipeline(RadialSums(), Pool(), Ridge())
    with pytest.raises(ValueError, match="there is 1: name a base"):
        DeltaRegressor(pipeline, "auto").fit(frames[:1], [1.0])
    with pytest.raises(ValueError, match="every one has an element that no other has"):
        DeltaRegressor(pipeline, "auto").fit(
            [molecule("H2"), molecule("O2")], [1.0, 2.0]
        )


def test_only_energies_have_such_bases(frames):
    from skatom.models import NeuralNetworkRegressor

    network = NeuralNetworkRegressor((4,), target="dipole", max_epochs=1)
    pipeline = make_pipeline(RadialSums(), network)
    for base in ("auto", "lj"):
        with pytest.raises(ValueError, match=f"The base .*{base}.* predicts energy"):
            DeltaRegressor(pipeline, base).fit(frames, np.zeros((16, 3)))
