"""Intervals of forces: vectors, elements, standard deviations, whole structures."""

import numpy as np
import pytest
from dimers import Bonds, dimers

from skatom.uncertainty import ConformalRegressor
from skatom.uncertainty._conformal.rankings import ForceScores, table_name


def calibrated(frames, y, **params):
    return ConformalRegressor(Bonds().fit(frames, y), cv="prefit", **params).fit(
        frames, y
    )


def errors_of(model, frames):
    labels = [a.calc.results["forces"] for a in frames]
    return np.array(labels) - np.array(model.predict_forces(frames))


def test_each_way_of_asking_covers_its_share():
    """Structures of unequal size, whose atoms err together, by element and in all."""
    rng = np.random.default_rng(0)
    level, n_cal, trials = 0.8, 25, 600
    kinds = [(w, e, s) for w in ("component", "norm") for e in (0, 1) for s in (0, 1)]
    shares = {kind: [] for kind in kinds}
    for _ in range(trials):
        sizes = rng.choice([2, 12], size=n_cal + 1)
        of = np.repeat(np.arange(n_cal + 1), sizes)
        symbols = np.where(np.arange(len(of)) % 2, "H", "O")
        scale = rng.gamma(2.0, size=n_cal + 1)[of] * np.where(symbols == "H", 1.0, 0.2)
        errors = np.abs(scale[:, None] * rng.normal(size=(len(of), 3)))
        norms = np.linalg.norm(errors, axis=1)
        old, new = of < n_cal, of == n_cal
        scores = ForceScores.of(errors[old], norms[old], of[old], symbols[old])
        for what, by_element, simultaneous in kinds:
            table = scores.tables[
                table_name(what, bool(by_element), bool(simultaneous))
            ]
            chosen = new & (symbols == "O") if by_element else new
            q = table.quantiles(
                np.array([level]), symbols[chosen] if by_element else None
            )
            found = (errors if what == "component" else norms[:, None])[chosen] <= q
            shares[what, by_element, simultaneous].append(
                found.all() if simultaneous else found.mean()
            )
    for kind, share in shares.items():
        slack = 4 * np.std(share) / np.sqrt(trials)
        assert level - slack <= np.mean(share) <= level + 1 / (n_cal + 1) + slack, kind


def test_radii_are_ranked_lengths_of_error_vectors():
    frames, y = dimers(60)
    model = calibrated(frames, y)
    forces, radii = model.predict_forces_radius(frames[:2], [0.5, 0.9])
    assert [r.shape for r in radii] == [(2, 2)] * 2
    np.testing.assert_array_equal(forces[1], model.predict_forces(frames[:2])[1])
    lengths = np.linalg.norm(errors_of(model, frames), axis=2)
    rank = int(np.ceil(0.9 * 61 * 2 - 1e-6))
    assert radii[0][0, 1] == pytest.approx(np.sort(lengths, None)[rank - 1], rel=1e-12)
    _, whole = model.predict_forces_radius(frames[:2], simultaneous=True)
    assert whole[0].shape == (2,)
    worst = np.sort(lengths.max(axis=1))[int(np.ceil(0.9 * 61)) - 1]
    np.testing.assert_allclose(whole[0], worst, rtol=1e-12)


def test_elements_are_calibrated_by_themselves():
    frames, y = dimers(80, symbols="HO")  # errors at O are a tenth of those at H
    model = calibrated(frames, y)
    for simultaneous in (False, True):
        _, intervals = model.predict_forces_interval(
            frames[:3], by_element=True, simultaneous=simultaneous
        )
        half = np.diff(intervals[0])[..., 0] / 2
        errors = np.abs(errors_of(model, frames))
        for atom in (0, 1):
            own = errors[:, atom].max(axis=1) if simultaneous else errors[:, atom]
            n = 81 * (1 if simultaneous else 3)
            expected = np.sort(own, axis=None)[int(np.ceil(0.9 * n - 1e-6)) - 1]
            np.testing.assert_allclose(half[atom], expected, rtol=1e-12)
        assert half[1, 0] < 0.2 * half[0, 0]


def test_widths_follow_the_standard_deviations_of_forces():
    frames, y = dimers(150)
    model = calibrated(frames, y, conformity_score="std")
    forces, intervals = model.predict_forces_interval(frames)
    std = Bonds().predict_forces(frames, return_std=True)[1]
    ratio = np.diff(np.array(intervals))[..., 0] / np.array(std)
    np.testing.assert_allclose(ratio, ratio[0, 0, 0], rtol=1e-12)
    # errors are normal with these deviations
    assert ratio[0, 0, 0] / 2 == pytest.approx(1.645, abs=0.25)
    radii = np.array(model.predict_forces_radius(frames)[1])
    lengths = np.linalg.norm(np.array(std), axis=2)
    ratios = np.sort(np.linalg.norm(errors_of(model, frames), axis=2) / lengths, None)
    rank = int(np.ceil(0.9 * 151 * 2 - 1e-6))
    np.testing.assert_allclose(radii / lengths, ratios[rank - 1], rtol=1e-12)
    np.testing.assert_array_equal(model.predict_forces(frames, return_std=True)[1], std)
    around = model.forces_interval_around(forces[5], atoms=frames[5])
    np.testing.assert_array_equal(around, intervals[5])


def test_errors_are_ranked_as_they_are_without_standard_deviations_of_forces():
    class NoForceStd(Bonds):
        def predict_forces(self, X):
            return Bonds().predict_forces(X)

    frames, y = dimers(60)
    model = ConformalRegressor(
        NoForceStd().fit(frames, y), cv="prefit", conformity_score="std"
    ).fit(frames, y)
    assert model.force_calibration_.floors is None
    widths = np.diff(np.array(model.predict_forces_interval(frames)[1]))
    assert np.ptp(widths) < 1e-12


def test_groups_of_structures_hold_for_forces_too():
    cold, y_cold = dimers(60, source="cold")
    hot, y_hot = dimers(60, seed=1, source="hot")
    for a in hot:
        a.calc.results["forces"] = 6 * a.calc.results["forces"]
    model = calibrated([*cold, *hot], np.r_[y_cold, y_hot], groups="source")
    for by_element in (False, True):
        _, intervals = model.predict_forces_interval(
            [cold[0], hot[0]], by_element=by_element
        )
        widths = [np.diff(i).mean() for i in intervals]
        assert 3 * widths[0] < widths[1]


def test_what_depends_on_the_structure_asks_for_it():
    frames, y = dimers(60)
    model = calibrated(frames, y)
    forces = model.predict_forces(frames[:1])[0]
    with pytest.raises(ValueError, match="pass atoms"):
        model.forces_interval_around(forces, by_element=True)
    found = model.forces_interval_around(forces, by_element=True, atoms=frames[0])
    expected = model.predict_forces_interval(frames[:1], by_element=True)[1][0]
    np.testing.assert_array_equal(found, expected)


def test_no_structures_have_no_intervals():
    frames, y = dimers(60)
    for score in ("absolute", "std"):
        model = calibrated(frames, y, conformity_score=score)
        assert model.predict_forces_interval([]) == ([], [])
        assert model.predict_forces_radius([]) == ([], [])
