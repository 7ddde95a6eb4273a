"""What estimators predict is said once, and every wrapper honours it or refuses it."""

import pickle

import numpy as np
import pytest
from ase import units
from ase.build import molecule
from radial import RadialSums
from sklearn.base import clone
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom import SkatomCalculator, predict_forces
from skatom.base import NoStandardDeviationError, Target, target_of
from skatom.base._targets import KINDS, NAMED, UNITS, as_target, check_y
from skatom.features import NoDerivativeError
from skatom.metrics import neg_energy_mae, neg_force_mae
from skatom.models import CompositionBaseline
from skatom.persistence import load, save
from skatom.potential import DeltaRegressor, evaluate, make_potential
from skatom.preprocessing import Pool
from skatom.uncertainty import (
    CalibratedStdRegressor,
    ConformalRegressor,
    CrossConformalRegressor,
    DropoutRegressor,
    EnsembleRegressor,
    LastLayerRigidity,
    WeightedConformalRegressor,
)

GAP = Target("band gap", "eV", "mean")


def molecules(n=12):
    frames = [molecule(("H2O", "NH3", "CH4")[s % 3]) for s in range(n)]
    for s, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=s)
    return frames


FRAMES = molecules()
CHARGES = [
    np.where(a.numbers == 1, 0.1, -0.1 * (len(a) - 1)) + 0.1 * a.get_distance(0, 1)
    for a in FRAMES
]
MOMENTS = np.array([q @ a.positions for q, a in zip(CHARGES, FRAMES)])


def network(target, **params):
    models = pytest.importorskip("skatom.models")
    pytest.importorskip("skorch")
    settings = {
        "hidden_layers": (6,), "max_epochs": 3, "random_state": 0, "patience": None,
        "validation_fraction": 0.0,
    }  # fmt: skip
    return models.NeuralNetworkRegressor(target=target, **(settings | params))


def labels(target):
    """Some y of the form of a target."""
    kind = as_target(target).kind
    if kind == "atoms":
        return CHARGES
    if kind == "vector":
        return MOMENTS
    return np.linalg.norm(MOMENTS, axis=1) + 1.0


# -- the declaration -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kind": "sums"}, "kind of target 'x' is 'sums'. Did you mean 'sum'"),
        ({"unit": None}, "unit of target 'x' is a text"),
        ({"n_columns": 0}, "n_columns of target 'x' is 0"),
        ({"n_columns": 2, "kind": "vector"}, "of kind 'vector' has one column"),
    ],
)
def test_targets_that_mean_nothing_are_refused(params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Target("x", **params)


def test_a_name_is_a_text():
    with pytest.raises(TypeError, match="name of a target is a text; got ''"):
        Target("")


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"'dipol'\. Did you mean 'dipole'"):
        as_target("dipol")


def test_energies_alone_have_forces():
    assert {name for name, one in NAMED.items() if one.is_energy} == {"energy"}
    assert Target("U0", "Hartree").is_energy
    assert not Target("U0", "Hartree", n_columns=2).is_energy
    assert not Target("heat capacity", "cal/(mol K)").is_energy
    assert not GAP.is_energy


def test_units_are_converted_by_name():
    assert Target(unit="kcal/mol").factor_to("eV") == units.kcal / units.mol
    debye = Target("dipole", "Debye", "vector")
    assert debye.factor_to("e·Å") == pytest.approx(0.20819434, rel=1e-7)  # CODATA
    for name, (dimension, _) in UNITS.items():
        there = [n for n, (d, _) in UNITS.items() if d == dimension]
        one = Target("x", name)
        for other in there if name else [""]:
            assert one.factor_to(other) * Target("x", other).factor_to(
                name
            ) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("unit", "to"), [("K", "eV"), ("eV", "K"), ("eV", "Debye"), ("", "eV")]
)
def test_units_of_other_things_are_not_converted(unit, to):
    with pytest.raises(ValueError, match=f"is not converted to {to}"):
        Target("x", unit).factor_to(to)


def test_labels_name_the_unit():
    assert Target("gap", "eV", "mean").label == "gap (eV)"
    assert Target("order", "", "mean").label == "order"
    assert all(kind in NAMED["dipole"].words for kind in [KINDS["vector"], "e·Å"])


def test_targets_of_files_are_checked():
    again = pickle.loads(pickle.dumps(GAP))
    assert again == GAP
    with pytest.raises(ValueError, match="kind of target"):
        again.__setstate__({"name": "x", "unit": "eV", "kind": "no", "n_columns": 1})


@pytest.mark.parametrize("target", ["charges", "dipole", "energy"])
def test_y_of_another_length_is_refused(target):
    with pytest.raises(ValueError, match="X has 13 structures"):
        check_y(labels(target), 13, as_target(target))


# -- who predicts what -----------------------------------------------------------------


def test_what_says_nothing_predicts_energies():
    for estimator in (Ridge(), make_pipeline(StandardScaler(), Ridge()), object()):
        assert target_of(estimator) == Target()


WRAPPERS = [
    lambda one: make_pipeline(RadialSums(), one),
    lambda one: make_potential(RadialSums(), one),
    lambda one: GridSearchCV(make_pipeline(RadialSums(), one), {}),
    lambda one: FrozenEstimator(one),
    lambda one: VotingRegressor([("a", one), ("b", clone(one))]),
    lambda one: BaggingRegressor(one),
    lambda one: StackingRegressor([("a", one)], final_estimator=Ridge()),
    lambda one: EnsembleRegressor(one),
    lambda one: EnsembleRegressor([one, one]),
    lambda one: CalibratedStdRegressor(EnsembleRegressor(one)),
    lambda one: ConformalRegressor(one),
    lambda one: WeightedConformalRegressor(ConformalRegressor(one)),
    lambda one: DropoutRegressor(one),
    lambda one: DeltaRegressor(one),
]


@pytest.mark.parametrize("number", range(len(WRAPPERS)))
def test_wrappers_predict_what_the_estimator_inside_does(number):
    wrapped = WRAPPERS[number](network(GAP))
    assert target_of(wrapped) == GAP
    assert target_of(clone(wrapped)) == GAP


def test_estimators_of_different_targets_are_not_combined():
    members = [("one", network("dipole_magnitude")), ("two", network(GAP))]
    with pytest.raises(ValueError, match="VotingRegressor combines different targets"):
        target_of(VotingRegressor(members))


def test_a_potential_says_what_stock_regressors_predict():
    model = make_potential(RadialSums(), Pool("mean"), Ridge(), target=GAP)
    model.fit(FRAMES, labels(GAP))
    assert target_of(model) == GAP
    found = evaluate(model, FRAMES, forces=False)
    assert found.energies is None
    np.testing.assert_array_equal(found.properties["band gap"], model.predict(FRAMES))
    with pytest.raises(
        NoDerivativeError, match="band gap in eV, a mean over atoms: fo"
    ):
        model.predict_forces(FRAMES)


def test_a_potential_does_not_contradict_its_last_step():
    model = make_potential(RadialSums(), network("dipole"), target=GAP)
    with pytest.raises(
        ValueError, match="last step NeuralNetworkRegressor predicts dip"
    ):
        model.fit(FRAMES, MOMENTS)
    with pytest.raises(ValueError, match="target is 'gap'"):
        make_potential(RadialSums(), Ridge(), target="gap").fit(FRAMES, labels(GAP))


# -- what every wrapper does with it ---------------------------------------------------

TARGETS = ["dipole", "dipole_magnitude", "charges", GAP, "max", "softmax"]
NAMES = [as_target(target).kind for target in TARGETS]


@pytest.fixture(scope="module", params=TARGETS, ids=NAMES)
def fitted(request):
    target = request.param
    model = make_pipeline(RadialSums(), network(target))
    return model.fit(FRAMES, labels(target)), as_target(target)


def test_evaluations_hold_the_property_by_its_name(fitted):
    model, target = fitted
    found = evaluate(model, FRAMES, forces=False)
    assert found.energies is None
    assert list(found.properties) == [target.name]
    expected = model.predict(FRAMES)
    for one, other in zip(found.properties[target.name], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    nothing = evaluate(model, [], forces=False).properties[target.name]
    assert len(nothing) == 0
    assert np.shape(nothing)[1:] == np.shape(model.predict([]))[1:]


@pytest.mark.parametrize(
    "asked",
    [{"forces": True}, {"forces": False, "stress": True}, {"atomic": True}],
    ids=str,
)
def test_forces_and_stress_of_it_are_refused(fitted, asked):
    model, target = fitted
    frames = molecules(2)
    for atoms in frames:
        atoms.set_cell(np.eye(3) * 9)
        atoms.pbc = "stress" in asked
    with pytest.raises(NoDerivativeError, match=f"Pipeline predicts {target.name}"):
        evaluate(model, frames, **asked)


def test_the_calculator_refuses_it(fitted):
    model, target = fitted
    with pytest.raises(
        ValueError, match=f"slope of an energy, and .* predicts {target.name}"
    ):
        SkatomCalculator(model)


def test_scorers_of_energies_and_forces_refuse_it(fitted):
    model, target = fitted
    with pytest.raises(ValueError, match="not compared by energies per atom"):
        neg_energy_mae(model, FRAMES, np.zeros(len(FRAMES)))
    frames = [FRAMES[0].copy()]
    frames[0].arrays["forces"] = np.zeros((len(frames[0]), 3))
    with pytest.raises(NoDerivativeError, match=f"predicts {target.name}"):
        neg_force_mae(model, frames)


def test_files_keep_it(fitted, tmp_path):
    pytest.importorskip("skops")
    (_, features), (_, model) = fitted[0].steps
    X = features.transform(FRAMES)
    again = load(save(model, tmp_path / "model.skatom"))
    assert target_of(again) == fitted[1]
    for one, other in zip(again.predict(X), model.predict(X), strict=True):
        np.testing.assert_array_equal(one, other)


def test_set_params_changes_it_at_the_next_fit_only(fitted):
    model, target = fitted
    before = model.predict(FRAMES)
    other = clone(model).fit(FRAMES, labels(target))
    other[-1].set_params(target="energy")
    assert target_of(other) == target
    for one, expected in zip(other.predict(FRAMES), before, strict=True):
        np.testing.assert_array_equal(one, expected)


@pytest.mark.parametrize("target", TARGETS, ids=NAMES)
def test_an_ensemble_predicts_what_its_members_do(target):
    model = make_pipeline(RadialSums(), network(target, max_epochs=2))
    ensemble = EnsembleRegressor(model, 3, diversity="seeds", random_state=0)
    y, std = ensemble.fit(FRAMES, labels(target)).predict(FRAMES, return_std=True)
    Z = ensemble.features_.transform(FRAMES)
    members = [member.predict(Z) for member in ensemble.estimators_]
    for s in range(len(FRAMES)):
        each = np.array([member[s] for member in members])
        np.testing.assert_allclose(y[s], each.mean(axis=0), rtol=1e-9)
        np.testing.assert_allclose(std[s], each.std(axis=0, ddof=1), rtol=1e-6)
    found = ensemble.evaluate(FRAMES, forces=False, std=True)
    name = as_target(target).name
    np.testing.assert_array_equal(found.properties_std[name][0], std[0])


def test_ensembles_of_rows_with_several_columns():
    rows = np.random.default_rng(0).normal(size=(40, 3))
    ensemble = EnsembleRegressor(LinearRegression(), 4, random_state=0)
    y = rows @ np.arange(6.0).reshape(3, 2) + rows[:, :1] ** 2
    predicted, std = ensemble.fit(rows, y).predict(rows, return_std=True)
    each = np.array([one.predict(rows) for one in ensemble.estimators_])
    np.testing.assert_allclose(predicted, each.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(std, each.std(axis=0, ddof=1), atol=1e-8)


@pytest.mark.parametrize("target", ["dipole", "charges", GAP], ids=["v", "a", "m"])
def test_calibrated_error_bars_have_the_size_of_the_errors(target):
    model = make_pipeline(RadialSums(), network(target, max_epochs=2))
    ensemble = EnsembleRegressor(model, 3, diversity="seeds", random_state=0)
    ensemble.fit(FRAMES[:6], labels(target)[:6])
    held_out, y = FRAMES[6:], labels(target)[6:]
    calibrated = CalibratedStdRegressor(FrozenEstimator(ensemble), cv="prefit")
    _, std = calibrated.fit(held_out, y).predict(held_out, return_std=True)
    predicted, raw = ensemble.predict(held_out, return_std=True)
    z = [(one - p) / s for one, p, s in zip(y, predicted, raw)]
    alpha = np.sqrt(np.mean(np.concatenate([np.ravel(one) for one in z]) ** 2))
    for one, before in zip(std, raw):
        np.testing.assert_allclose(one, alpha * before, rtol=1e-9)


@pytest.mark.parametrize("source", ["latent", "llpr"])
def test_one_distance_does_not_serve_several_numbers(source):
    model = CalibratedStdRegressor(
        make_pipeline(RadialSums(), network("dipole")), source=source, random_state=0
    )
    with pytest.raises(ValueError, match=f"source='{source}'.*predicts dipole"):
        model.fit(FRAMES, MOMENTS)


@pytest.mark.parametrize("target", ["dipole", "max"])
def test_rigidity_needs_a_sum_over_atoms(target):
    model = make_pipeline(RadialSums(), network(target)).fit(FRAMES, labels(target))
    name = as_target(target).name
    with pytest.raises(ValueError, match=f"one sum, or mean.*predicts {name}"):
        LastLayerRigidity(model).fit(FRAMES)


def test_explicit_forces_of_what_is_no_energy_are_refused():
    model = make_pipeline(RadialSums(), network(GAP))
    calibrated = CalibratedStdRegressor(
        EnsembleRegressor(model, 2, random_state=0), forces="calc", random_state=0
    )
    with pytest.raises(NoDerivativeError, match="forces='calc' belong to one energy"):
        calibrated.fit(FRAMES, labels(GAP))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda one: ConformalRegressor(one, random_state=0),
        lambda one: CrossConformalRegressor(one, cv=2),
        lambda one: WeightedConformalRegressor(ConformalRegressor(one)),
    ],
)
@pytest.mark.parametrize("target", ["dipole", "charges"])
def test_intervals_are_put_around_one_number(wrap, target):
    model = wrap(make_pipeline(RadialSums(), network(target)))
    with pytest.raises(ValueError, match=f"predicts {target}.* have no order"):
        model.fit(FRAMES, labels(target))


def test_intervals_of_a_mean_cover_it():
    model = ConformalRegressor(
        make_pipeline(RadialSums(), network(GAP)), calibration_size=6, random_state=0
    )
    y, intervals = model.fit(FRAMES, labels(GAP)).predict_interval(FRAMES, 0.5)
    assert target_of(model) == GAP
    np.testing.assert_allclose(intervals.mean(axis=1), y)
    with pytest.raises(NoDerivativeError, match="predicts band gap"):
        predict_forces(model, FRAMES)


# -- delta learning --------------------------------------------------------------------


def test_a_baseline_of_means_is_that_of_energies_per_atom():
    mean = np.array([np.mean(a.numbers) for a in FRAMES])
    base = CompositionBaseline(target=GAP).fit(FRAMES, mean)
    np.testing.assert_allclose(base.predict(FRAMES), mean, rtol=1e-10)
    doubled = [a + a for a in FRAMES]
    np.testing.assert_allclose(base.predict(doubled), mean, rtol=1e-10)


@pytest.mark.parametrize("target", ["dipole", "charges", GAP], ids=["v", "a", "m"])
def test_delta_learning_adds_what_it_subtracted(target):
    base = make_pipeline(RadialSums(), network(target, max_epochs=1))
    rest = make_pipeline(RadialSums(), network(target, random_state=1))
    model = DeltaRegressor(rest, base).fit(FRAMES, labels(target))
    parts = [model.base_.predict(FRAMES), model.estimator_.predict(FRAMES)]
    for total, one, other in zip(model.predict(FRAMES), *parts, strict=True):
        np.testing.assert_allclose(total, one + other, rtol=1e-12)
    left = [y - b for y, b in zip(labels(target), parts[0])]
    again = clone(rest).fit(FRAMES, left if target == "charges" else np.array(left))
    for one, other in zip(again.predict(FRAMES), parts[1]):
        np.testing.assert_array_equal(one, other)


def test_baselines_that_do_not_add_up_are_refused():
    rest = make_pipeline(RadialSums(), network("dipole"))
    with pytest.raises(ValueError, match="subtracts what elements contribute"):
        DeltaRegressor(rest).fit(FRAMES, MOMENTS)
    with pytest.raises(ValueError, match=r"The base Ridge predicts energy.*not add up"):
        DeltaRegressor(rest, Ridge()).fit(FRAMES, MOMENTS)
    forces = [np.zeros((len(a), 3)) for a in FRAMES]
    gap = DeltaRegressor(make_pipeline(RadialSums(), network(GAP)))
    with pytest.raises(NoDerivativeError, match="forces and stress to train on"):
        gap.fit(FRAMES, labels(GAP), forces=forces)


# -- units of energies -----------------------------------------------------------------


def test_energies_in_other_units_move_atoms_all_the_same():
    factor = units.kcal / units.mol
    y = np.array([np.sum(a.get_all_distances() ** 2) for a in FRAMES])
    in_ev = make_potential(RadialSums(), Pool(), Ridge()).fit(FRAMES, y)
    other = make_potential(
        RadialSums(), Pool(), Ridge(), target=Target(unit="kcal/mol")
    ).fit(FRAMES, y / factor)
    np.testing.assert_allclose(other.predict(FRAMES) * factor, in_ev.predict(FRAMES))
    found, expected = evaluate(other, FRAMES), evaluate(in_ev, FRAMES)
    np.testing.assert_allclose(found.energies, expected.energies)
    np.testing.assert_allclose(found.properties["energy"] * factor, expected.energies)
    np.testing.assert_allclose(found.forces[0], expected.forces[0], atol=1e-10)
    atoms = FRAMES[0].copy()
    atoms.calc = SkatomCalculator(other)
    assert atoms.get_potential_energy() == pytest.approx(expected.energies[0])
    np.testing.assert_allclose(atoms.get_forces(), expected.forces[0], atol=1e-10)
    assert neg_energy_mae(other, FRAMES, y / factor) == pytest.approx(
        neg_energy_mae(in_ev, FRAMES, y), rel=1e-6
    )


@pytest.mark.parametrize(
    "target", ["dipole", "dipole_magnitude", "charges", "polarizability"]
)
def test_networks_of_other_kinds_have_no_std_and_say_so(target):
    X = RadialSums().fit_transform(FRAMES)
    y = np.zeros((len(FRAMES), 6)) if target == "polarizability" else labels(target)
    model = network(target).fit(X, y)
    with pytest.raises(NoStandardDeviationError, match="Regressor was trained"):
        model.predict(X, return_std=True)
    with pytest.raises(ValueError, match="knows no quantiles"):
        model.predict(X, return_quantiles=True)
    assert len(model.predict(X[:0])) == 0


def test_elements_have_no_share_in_vectors():
    model = DeltaRegressor(make_potential(RadialSums(), network("dipole")))
    with pytest.raises(
        ValueError, match=r"elements contribute.*NeuralNetworkRegressor predicts dipole"
    ):
        model.fit(FRAMES, MOMENTS)
    free = DeltaRegressor(make_potential(RadialSums(), network("dipole")), base=None)
    assert free.fit(FRAMES, MOMENTS).predict(FRAMES).shape == (12, 3)
