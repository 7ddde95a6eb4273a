"""Reports and displays of any target: its name and unit on tables and axes."""

import numpy as np
import pytest
from ase.build import bulk
from sklearn.linear_model import BayesianRidge
from sklearn.pipeline import make_pipeline

plt = pytest.importorskip("matplotlib.pyplot")

from skatom.base import Target, target_of  # noqa: E402
from skatom.featurizers import ACSF  # noqa: E402
from skatom.models import AtomicRidge  # noqa: E402
from skatom.plotting import (  # noqa: E402
    ErrorDistanceDisplay,
    ErrorWidthDisplay,
    ParityDisplay,
)
from skatom.potential import make_potential  # noqa: E402
from skatom.preprocessing import Pool  # noqa: E402
from skatom.report import UncertaintyReport  # noqa: E402
from skatom.uncertainty import ConformalRegressor, FeatureDistance  # noqa: E402

MODULUS = Target("bulk modulus", "GPa", "mean")
GAP = Target("band gap", "eV", "mean")
KCAL = Target("energy", "kcal/mol")


def crystals(n=40):
    frames = []
    for k in range(n):
        atoms = bulk("Cu", a=3.4 + 0.01 * k) * (1 + k % 2, 1, 1)
        atoms.rattle(0.03, seed=k)
        frames.append(atoms)
    return frames


FRAMES = crystals()
VALUES = np.array([a.get_volume() / len(a) for a in FRAMES])
TRAIN, TEST = slice(0, 40, 2), slice(1, 40, 2)


def fitted(target, score="absolute", values=VALUES):
    model = make_potential(ACSF(4.0, n_radial=3, g4=None), AtomicRidge(target=target))
    model = ConformalRegressor(
        model, conformity_score=score, calibration_size=10, random_state=0
    )
    return model.fit(FRAMES[TRAIN], values[TRAIN])


def report_of(model, **options):
    return UncertaintyReport.from_estimator(
        model, FRAMES[TEST], VALUES[TEST], n_bootstrap=5, **options
    )


@pytest.fixture(scope="module")
def scaled():
    return report_of(fitted(MODULUS, "std"))


def test_tables_state_name_and_unit(scaled):
    table = scaled["Errors of bulk modulus"]
    assert table.columns == [
        "bulk modulus", "MAE (GPa)", "RMSE (GPa)", "spread of labels (GPa)",
    ]  # fmt: skip
    assert [row[0] for row in table.rows] == ["of structures"]
    text = scaled.to_markdown()
    assert "mean width (GPa)" in text
    assert "CRPS (GPa)" in text
    assert "meV" not in text
    assert "| what is predicted | bulk modulus in GPa, a mean over atoms |" in text


def test_numbers_are_in_the_unit_of_the_target(scaled):
    model = fitted(MODULUS, "std")
    error = np.abs(model.predict(FRAMES[TEST]) - VALUES[TEST])
    found = scaled["Errors of bulk modulus"].rows[0][1].value
    assert found == pytest.approx(error.mean())
    in_ev = report_of(fitted(GAP, "std"), figures=False)["Errors of band gap"]
    assert in_ev.columns[1] == "MAE (meV)"
    assert in_ev.rows[0][1].value == pytest.approx(1e3 * error.mean())


def test_axes_state_name_and_unit(scaled):
    labels = {
        text
        for figure in scaled.figures.values()
        for ax in figure.axes
        for text in (ax.get_xlabel(), ax.get_ylabel())
    }
    assert "|error| (GPa)" in labels
    assert "reference bulk modulus − mean (GPa)" in labels
    assert "predicted − reference bulk modulus (GPa)" in labels
    assert "half-width of the interval (GPa)" in labels
    assert "width at level 0.9 (GPa)" in labels
    assert not any("eV" in label for label in labels)


def test_widths_that_are_alike_are_a_sentence_and_no_picture():
    report = report_of(fitted(MODULUS))
    assert not {"Widths", "Errors against widths"} & set(report.figures)
    note = report["Coverage and width"].note
    half = np.diff(fitted(MODULUS).predict_interval(FRAMES[:1], 0.9)[1][0])[0] / 2
    assert f"equally wide, ±{half:.3f} GPa at 0.9" in note


def test_widths_that_differ_are_drawn(scaled):
    assert {"Widths", "Errors against widths"} <= set(scaled.figures)
    assert "equally wide" not in scaled["Coverage and width"].note


def test_figures_are_not_left_open_and_can_be_saved(tmp_path):
    before = plt.get_fignums()
    report = report_of(fitted(MODULUS))
    assert plt.get_fignums() == before
    assert "data:image/png" in report.save(tmp_path)[0].read_text()
    assert plt.get_fignums() == before


def test_plain_energies_are_reported_as_before():
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = BayesianRidge().fit(X, X.sum(1))
    report = UncertaintyReport.from_estimator(
        model, X, X.sum(1) + 0.1, figures=False, n_bootstrap=5
    )
    table = report["Errors of energies"]
    assert table.columns[:2] == ["energy", "MAE (meV)"]
    assert [row[0] for row in table.rows] == ["total", "per atom"]


def test_stored_energies_are_read_in_the_unit_of_the_target():
    frames = [a.copy() for a in FRAMES]
    for atoms, value in zip(frames, VALUES):
        atoms.info["energy"] = value
    in_kcal = VALUES / KCAL.factor_to("eV")
    model = fitted(KCAL, values=in_kcal)
    report = UncertaintyReport.from_estimator(model, frames[TEST], figures=False)
    error = np.abs(model.predict(FRAMES[TEST]) - in_kcal[TEST]).mean()
    assert report["Errors of energies"].rows[0][1].value == pytest.approx(error)
    display = ParityDisplay.from_estimator(model, frames[TEST])
    assert display.ax_.get_xlabel() == "reference energy − mean (kcal/mol)"
    plt.close(display.figure_)


def test_displays_ask_the_estimator_for_its_target():
    model = fitted(MODULUS, "std")
    X, y = FRAMES[TEST], VALUES[TEST]
    distance = FeatureDistance(model, random_state=0).fit(FRAMES[TRAIN])
    for display, label in (
        (
            ParityDisplay.from_estimator(model, X, y),
            "predicted bulk modulus − mean (GPa)",
        ),
        (ErrorWidthDisplay.from_estimator(model, X, y), "|error| (GPa)"),
        (ErrorDistanceDisplay.from_estimator(distance, X, y), "|error| (GPa)"),
    ):
        assert display.ax_.get_ylabel() == label
        plt.close(display.figure_)
    moments = ParityDisplay.from_predictions(
        np.eye(3), np.eye(3), quantity=Target("dipole", "Debye", "vector")
    )
    assert moments.ax_.get_xlabel() == "reference dipole (Debye)"
    plt.close(moments.figure_)
    plain = ParityDisplay.from_predictions(y, y, quantity=Target("order", "", "mean"))
    assert plain.ax_.get_xlabel() == "reference order − mean"
    plt.close(plain.figure_)


def test_what_is_not_stored_has_to_be_given():
    model = fitted(MODULUS)
    with pytest.raises(
        ValueError, match=r"bulk modulus in GPa.*not stored as an energy"
    ):
        UncertaintyReport.from_estimator(model, FRAMES[TEST])
    with pytest.raises(ValueError, match=r"bulk modulus in GPa.*: give y\."):
        ParityDisplay.from_estimator(model, FRAMES[TEST])


def test_several_numbers_at_once_have_no_report():
    model = make_potential(
        *make_pipeline(ACSF(4.0, n_radial=3, g4=None), Pool("mean"), BayesianRidge())
        .named_steps.values(),
        target=Target("dipole", "e·Å", "vector"),
    )  # fmt: skip
    model.fit(FRAMES[TRAIN], VALUES[TRAIN])
    assert target_of(model).width == 3
    with pytest.raises(ValueError, match=r"UncertaintyReport.*Ridge predicts dipole"):
        UncertaintyReport.from_estimator(model, FRAMES[TEST], VALUES[TEST])
