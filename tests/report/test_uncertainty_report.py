"""A report says what is so: every number recomputed, leaks named, worst group first."""

import json
import re

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import norm, spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.base import NoStandardDeviationError
from skatom.cli import main
from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.metrics import winkler_score
from skatom.models import AtomicRidge
from skatom.preprocessing import PerAtom
from skatom.report import UncertaintyReport
from skatom.report._bootstrap import bootstrap, draw_rows
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    CalibratedStdRegressor,
    ConformalRegressor,
    CrossConformalRegressor,
    DomainFlags,
    LatentDistance,
    WeightedConformalRegressor,
)

mpl.use("Agg")


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, size=(n, 2))
    return X, X.sum(axis=1) + (0.1 + np.abs(X[:, 0])) * rng.normal(size=n)


@pytest.fixture(scope="module")
def gp():
    X, y = rows(300)
    kernel = RBF() + WhiteKernel()
    return ConformalRegressor(
        GaussianProcessRegressor(kernel, optimizer=None),
        conformity_score="std",
        calibration_size=150,
        random_state=0,
    ).fit(X, y)


@pytest.fixture(scope="module")
def potential():
    data = load_dataset("malonaldehyde", "train")
    steps = ACSF(r_cut=4.0, g4=None), PerAtom(StandardScaler()), AtomicRidge()
    model = ConformalRegressor(make_pipeline(*steps), random_state=0)
    return model.fit(data.frames[:100], data.energies[:100])


def test_coverage_and_scores_are_those_of_the_intervals(gp):
    X, y = rows(400, seed=1)
    report = UncertaintyReport.from_estimator(gp, X, y, figures=False, n_bootstrap=50)
    table = report["Coverage and width"]
    assert [row[0] for row in table.rows] == [
        "0.5",
        "0.68",
        "0.8",
        "0.9",
        "0.95",
        "0.99",
    ]
    for row, level in zip(table.rows, (0.5, 0.68, 0.8, 0.9, 0.95, 0.99)):
        _, ends = gp.predict_interval(X, level)
        inside = (ends[:, 0] <= y) & (y <= ends[:, 1])
        assert row[1].value == pytest.approx(inside.mean(), rel=1e-12)
        assert row[1].low <= row[1].value <= row[1].high
        width = np.diff(ends).mean()
        alone = 2 * norm.ppf((1 + level) / 2) * y.std()
        assert row[3].value == pytest.approx(1e3 * width, rel=1e-12)
        assert row[3].low < row[3].value < row[3].high
        assert row[4].value == pytest.approx(1e3 * np.median(np.diff(ends)), rel=1e-12)
        assert row[5].value == pytest.approx(width / alone, rel=1e-12)
        assert row[6].value == pytest.approx(1e3 * winkler_score(y, ends, level))
    assert report["Errors of energies"].rows[0][3].value == pytest.approx(1e3 * y.std())
    assert report["Standard deviations"].rows[5][1].value < 0.9


def test_the_worst_group_stands_first(gp):
    X, y = rows(400, seed=1)
    kinds = np.where(np.abs(X[:, 0]) > 0.7, "hard", "easy")
    report = UncertaintyReport.from_estimator(
        gp, X, y, groups={"kind": kinds}, figures=False, n_bootstrap=50
    )
    found = report["Groups"].rows
    shares = [row[3].value for row in found]
    assert shares == sorted(shares)
    assert {"kind", "fifth by width"} == {row[0] for row in found}
    assert [row[1] for row in found if row[0] == "kind"] == ["hard", "easy"]


def test_a_drift_is_told_and_structures_beyond_are_counted(gp):
    X, y = rows(200, seed=1)
    flags = DomainFlags(gp, random_state=0).fit(rows(300)[0])
    title = "Are test structures like those of calibration?"
    values = {}
    for name, scale in (("alike", 1.0), ("far", 4.0)):
        report = UncertaintyReport.from_estimator(
            gp, scale * X, scale * y, flags=flags, figures=False, n_bootstrap=50
        )
        values[name] = {row[0]: row[1] for row in report[title].rows}
    assert values["alike"]["p-value that scores are alike"] > 1e-3
    assert values["far"]["p-value that scores are alike"] < 1e-3
    beyond = "share beyond every calibration structure, distance"
    assert values["alike"][beyond].value < 0.1 < values["far"][beyond].value


def test_distances_come_from_whatever_measures_them(gp):
    """The one given, that of the widths, that of the flags; else there is no figure."""
    X, y = rows(200, seed=1)
    title, row = "Errors against distances", "rank correlation of |error| with distance"
    inner = gp.estimator_
    X_train = rows(300)[0][gp.train_indices_]
    latent = LatentDistance(inner).fit(X_train)
    flags = DomainFlags(gp, ["distance"], random_state=0).fit(X_train)
    held = ConformalRegressor(inner, cv="prefit", conformity_score=latent)
    held.fit(*rows(100, seed=2))
    bars = CalibratedStdRegressor(inner, source="latent", cv="prefit")
    bars.fit(*rows(100, seed=2), X_train=X_train)
    stream = AdaptiveConformalRegressor(held, cv="prefit").fit(None, None)
    error = np.abs(y - inner.predict(X))
    far = latent.distance(X)
    for model, options, expected in (
        (gp, {"distance": latent, "flags": flags}, far),
        (gp, {"flags": flags}, flags.grade(X)),
        (held, {"flags": flags}, far),
        (bars, {}, far),
        (stream, {}, far),
    ):
        report = UncertaintyReport.from_estimator(
            model, X, y, n_bootstrap=20, **options
        )
        x, drawn = report.figures[title].axes[0].get_lines()[0].get_data()
        constant = model.source_.floor_ if model is bars else 0.0
        np.testing.assert_allclose(x, expected + constant, rtol=1e-12)
        np.testing.assert_allclose(drawn, 1e3 * error, rtol=1e-12)
        found = {r[0]: r[1] for r in report.tables[-1].rows}[row]
        assert found.value == pytest.approx(spearmanr(error, expected).statistic)
        mpl.pyplot.close("all")
    bare = UncertaintyReport.from_estimator(gp, X, y, n_bootstrap=20)
    assert title not in bare.figures
    assert row not in [r[0] for r in bare.tables[-1].rows]
    assert bare.tables[-1].rows[-1][1] == "not known: no flags"
    mpl.pyplot.close("all")


def test_deviations_are_grouped_where_widths_do_not_tell_them():
    X, y = rows(400)
    kernel = RBF() + WhiteKernel()
    process = GaussianProcessRegressor(kernel, optimizer=None)
    for score, kinds in (
        ("std", {"fifth by width"}),
        ("absolute", {"fifth by deviation"}),
    ):
        model = ConformalRegressor(process, conformity_score=score, random_state=0)
        report = UncertaintyReport.from_estimator(
            model.fit(X, y), *rows(100, seed=1), figures=False, n_bootstrap=50
        )
        assert {row[0] for row in report["Groups"].rows} == kinds


def test_lines_of_deviations_say_what_share_lies_below(gp):
    X, y = rows(200, seed=1)
    figure = UncertaintyReport.from_estimator(gp, X, y, n_bootstrap=20).figures[
        "Errors against deviations"
    ]
    y_pred, std = gp.estimator_.predict(X, return_std=True)
    texts = [t.get_text() for t in figure.axes[0].get_legend().get_texts()]
    for k, text in enumerate(texts, start=1):
        share = np.mean(np.abs(y - y_pred) <= k * std)
        assert text == f"{k} deviations, {share:.1%} below"
    assert len(texts) == 3
    mpl.pyplot.close("all")


def test_structures_that_were_trained_on_are_counted(potential):
    data = load_dataset("malonaldehyde", "train")
    first = potential.train_indices_[:7]
    frames = [data.frames[s] for s in first] + list(data.frames[200:240])
    report = UncertaintyReport.from_estimator(
        potential,
        frames,
        figures=False,
        n_bootstrap=50,
        split="seven of them on purpose",
    )
    setup = {row[0]: row[1] for row in report["How it was done"].rows}
    leaked = setup["test structures that were trained on"]
    assert leaked == "7 of 47, by their content"
    assert setup["how test structures were taken"] == "seven of them on purpose"
    assert setup["training structures"] == 80
    assert setup["calibration structures"] == 20


def test_forces_are_judged_by_structure(potential):
    data = load_dataset("malonaldehyde", "test")
    frames = data.frames[:60]
    table = UncertaintyReport.from_estimator(
        potential, frames, figures=False, n_bootstrap=50
    )["Forces"]
    _, ends = potential.predict_forces_interval(frames)
    labels = [a.calc.results["forces"] for a in frames]
    inside = [
        np.mean((e[..., 0] <= f) & (f <= e[..., 1])) for e, f in zip(ends, labels)
    ]
    assert table.rows[0][1].value == pytest.approx(np.mean(inside), rel=1e-12)
    names = [row[0] for row in table.rows]
    assert names[:3] == ["components", "components, all at once", "vectors"]
    assert len(names) == 6


def test_it_is_written_as_markdown_json_and_one_page(gp, tmp_path):
    X, y = rows(100, seed=1)
    report = UncertaintyReport.from_estimator(gp, X, y, n_bootstrap=50)
    paths = report.save(tmp_path / "new")
    assert [p.name for p in paths] == ["report.html", "report.md", "report.json"]
    page = paths[0].read_text()
    assert page.count("data:image/png;base64,") == len(report.figures) >= 7
    assert not re.search(r"(src|href)='(?!data:)", page)
    tables = json.loads(paths[2].read_text())["tables"]
    assert [t["title"] for t in tables] == [t.title for t in report.tables]
    assert (
        tables[2]["rows"][3][1]["value"]
        == report["Coverage and width"].rows[3][1].value
    )
    assert "| 0.9 |" in str(report)
    assert "Coverage and width" in repr(report)
    mpl.pyplot.close("all")


def test_each_kind_of_interval_is_reported_with_its_guarantee():
    X, y = rows(200)
    split = ConformalRegressor(LinearRegression(), calibration_size=30, random_state=0)
    for model, n_train, n_calibration, sentence in (
        (split, 70, 30, "with at least their level"),
        (CrossConformalRegressor(LinearRegression(), cv=5), 100, 100, "2 level - 1"),
        (WeightedConformalRegressor(split), 70, 30, "about their level, where"),
        (AdaptiveConformalRegressor(split), 70, 30, "with at least their level"),
    ):
        report = UncertaintyReport.from_estimator(
            model.fit(X[:100], y[:100]), X[100:], y[100:], figures=False, n_bootstrap=10
        )
        table = report["How it was done"]
        assert sentence in table.note
        assert [row[1] for row in table.rows[1:3]] == [n_train, n_calibration]


def test_deviations_alone_are_reported_without_a_guarantee():
    X, y = rows(200)
    report = UncertaintyReport.from_estimator(
        BayesianRidge().fit(X, y), X, y, figures=False, n_bootstrap=50
    )
    assert "no guarantee" in report["How it was done"].note
    assert "rows of numbers" in report["How it was done"].rows[5][1]


def test_too_few_calibration_structures_show_as_infinite():
    X, y = rows(100)
    model = ConformalRegressor(LinearRegression(), calibration_size=30, random_state=0)
    report = UncertaintyReport.from_estimator(model.fit(X, y), X, y)
    assert "| 0.99 | 1.000 [1.000, 1.000] |" in report.to_markdown()
    assert "∞" in report.to_markdown()
    assert json.loads(report.to_json())["tables"][2]["rows"][5][3]["value"] is None
    mpl.pyplot.close("all")


def test_streams_are_reported_as_they_were_calibrated(gp):
    X, y = rows(100, seed=1)
    stream = AdaptiveConformalRegressor(gp, cv="prefit").fit(None, None)
    found = UncertaintyReport.from_estimator(stream, X, y, n_bootstrap=20)
    assert "working level" in [
        t.get_text()
        for t in found.figures["Coverage of the stream"]
        .axes[0]
        .get_legend()
        .get_texts()
    ]
    assert stream.n_seen_ == 0  # a report leaves the model as it is
    mpl.pyplot.close("all")
    plain = UncertaintyReport.from_estimator(gp, X, y, figures=False, n_bootstrap=20)
    assert "Coverage of the stream" not in plain.figures
    ours, theirs = (r["Coverage and width"].rows[3][1] for r in (found, plain))
    assert ours == theirs


def test_what_cannot_be_reported_is_refused(gp):
    X, y = rows(50)
    with pytest.raises(NoStandardDeviationError, match="neither intervals nor stand"):
        UncertaintyReport.from_estimator(LinearRegression().fit(X, y), X, y)
    with pytest.raises(ValueError, match=r"groups\['kind'\] has 2 entries"):
        UncertaintyReport.from_estimator(gp, X, y, groups={"kind": [1, 2]})
    report = UncertaintyReport.from_estimator(gp, X, y, figures=False, n_bootstrap=50)
    with pytest.raises(KeyError, match="is none of 'How it was done'"):
        report["Costs"]


def test_bootstrap_intervals_hold_the_true_value_as_often_as_they_say():
    rng = np.random.default_rng(0)
    draws = draw_rows(100, 200, 0)
    hits = 0
    for _ in range(200):
        found = bootstrap(np.mean, [rng.normal(size=100)], draws)
        hits += found.low <= 0.0 <= found.high
    assert 180 <= hits <= 199  # 95 % of 200, percentile intervals are a little short


def test_the_command_line_writes_a_report(potential, tmp_path, capsys):
    pytest.importorskip("skops")
    from ase.io import write

    from skatom.persistence import save

    data = load_dataset("malonaldehyde", "test")
    frames = [a.copy() for a in data.frames[:20]]
    for k, (a, e) in enumerate(zip(frames, data.energies)):
        a.info.update(energy=e, half=k // 10)
    write(tmp_path / "test.extxyz", frames)
    model = save(potential, tmp_path / "model.skatom")
    arguments = [str(model), str(tmp_path / "test.extxyz"), "--group", "half"]
    assert main(["report", *arguments, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report.html").exists()
    out = capsys.readouterr().out
    assert "| half |" in out
    assert "all 20 structures of test.extxyz" in out
    mpl.pyplot.close("all")
