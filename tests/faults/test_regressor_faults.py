"""What can go wrong before, in and after the fit of a potential.

The ids are those of the list of faults (B01 to B25, and X cases about training).
"""

import multiprocessing
import pickle

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms
from conftest import labelled, rattled
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom import Structures, predict_forces
from skatom.featurizers import ACSF
from skatom.models import (
    AtomicKernelRidge,
    AtomicRidge,
    CompositionBaseline,
    NeuralNetworkRegressor,
)
from skatom.preprocessing import PerAtom
from skatom.structures import duplicate_report, read_energies

MODELS = {
    "AtomicRidge": AtomicRidge(alpha=1e-4),
    "AtomicKernelRidge": AtomicKernelRidge(random_state=0),
    "NeuralNetworkRegressor": NeuralNetworkRegressor(
        hidden_layers=(8,), max_epochs=10, dtype="float64", random_state=0
    ),
}


def potential(model):
    acsf = ACSF(r_cut=4.0, n_radial=4, n_angular=2, zetas=(1,))
    return make_pipeline(acsf, PerAtom(StandardScaler()), clone(model))


@pytest.fixture(params=MODELS)
def model(request):
    return potential(MODELS[request.param])


@pytest.fixture(scope="module")
def frames():
    names = ["H2O", "CH4", "CH3OH"]
    return [labelled(rattled(molecule(names[s % 3]), seed=s)) for s in range(18)]


@pytest.fixture(scope="module")
def y(frames):
    return read_energies(frames)


def spoiled(y, index, value):
    y = np.array(y, dtype=object if value is None else float)
    y[index] = value
    return y


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda y: spoiled(y, 3, np.nan), "NaN .* structures 3", id="B01"),
        pytest.param(lambda y: spoiled(y, 5, -np.inf), "NaN .* structures 5", id="B02"),
        pytest.param(lambda y: y[:-1], "18 structures, but y has 17 entries", id="B03"),
        pytest.param(lambda y: None, "requires y to be passed", id="B04"),
        pytest.param(lambda y: spoiled(y, 2, None), "y is None at structures 2", id="B11"),
        pytest.param(lambda y: y + 1j, "Complex data not supported", id="X22-complex"),
        pytest.param(lambda y: ["?"] * 18, "y must hold numbers, one per", id="B26"),
        pytest.param(lambda y: [np.zeros((s % 2 + 1, 3)) for s in range(18)],
                     "y is ragged; expected one number per structure", id="B27-forces"),
    ],
)  # fmt: skip
def test_wrong_targets_are_refused(model, frames, y, make, words):
    with pytest.raises(ValueError, match=words):
        model.fit(frames, make(y))


def test_B05_two_targets_are_for_models_that_learn_several(model, frames, y):
    both = np.column_stack([y, -y])
    if isinstance(model[-1], NeuralNetworkRegressor):
        assert model.fit(frames, both).predict(frames).shape == both.shape
        return
    with pytest.raises(ValueError, match=r"y has shape \(18, 2\)"):
        model.fit(frames, both)


@pytest.mark.parametrize("kind", ["float32", "list", "object", "column"])
def test_B06_targets_of_any_kind_of_number(model, frames, y, kind):
    ints = np.round(y)
    given = {
        "float32": ints.astype(np.float32),
        "list": [int(e) for e in ints],
        "object": ints.astype(object),
        "column": ints[:, None],
    }[kind]
    model.set_params(**{f"{model.steps[-1][0]}__forces": None})
    expected = clone(model).fit(frames, ints).predict(frames)
    if kind == "column":
        with pytest.warns(match="A column-vector y was passed"):
            model.fit(frames, given)
    else:
        model.fit(frames, given)
    np.testing.assert_array_equal(model.predict(frames), expected)


def test_X22_float16_targets_are_read_as_they_are(frames, y):
    half = y.astype(np.float16)
    one = potential(AtomicRidge(forces=None)).fit(frames, half)
    two = potential(AtomicRidge(forces=None)).fit(frames, half.astype(float))
    np.testing.assert_array_equal(one.predict(frames), two.predict(frames))


def test_B08_constant_targets(model, frames):
    model.set_params(**{f"{model.steps[-1][0]}__forces": None})
    same = [frames[0].copy() for _ in range(6)]
    predicted = model.fit(same, np.full(6, -7.0)).predict(same)
    np.testing.assert_allclose(predicted, -7.0, atol=1e-6)


@pytest.mark.parametrize("name", ["AtomicRidge", "AtomicKernelRidge"])
def test_B09_one_frame_is_enough_to_fit(name, frames, y):
    model = potential(MODELS[name]).fit(frames[:1], y[:1])
    assert model.predict(frames[:1]) == pytest.approx(y[:1], abs=0.05)


def test_B10_contradicting_duplicates_are_averaged_and_reported(frames):
    twins = [frames[0], frames[0].copy(), frames[1]]
    y = [-10.0, -12.0, -20.0]
    assert duplicate_report(twins, y).contradicting == [[0, 1]]
    model = potential(AtomicRidge(alpha=1e-8, forces=None)).fit(twins, y)
    assert model.predict(twins[:1]) == pytest.approx([-11.0], abs=1e-3)


def test_B12_an_element_that_fit_did_not_see(model, frames, y):
    model.fit(frames, y)
    with pytest.raises(ValueError, match="Structure 1, atom 0 is N, but ACSF knows"):
        model.predict([frames[0], molecule("N2")])


def test_B12_an_element_that_the_model_did_not_see(frames, y):
    model = potential(AtomicRidge())
    model.set_params(acsf__species=["H", "C", "N", "O"]).fit(frames, y)
    with pytest.raises(ValueError, match="atom 0 is N, but AtomicRidge knows"):
        model.predict([molecule("N2")])


def test_B12_an_element_that_the_composition_did_not_see(frames, y):
    baseline = CompositionBaseline().fit(frames, y)
    with pytest.raises(ValueError, match="N"):
        baseline.predict([molecule("N2")])


def test_B13_no_structures_have_no_energies(model, frames, y):
    assert model.fit(frames, y).predict([]).shape == (0,)


def test_B15_a_second_fit_is_a_fresh_fit(model, frames, y):
    expected = clone(model).fit(frames[:9], y[:9]).predict(frames)
    again = model.fit(frames[9:], y[9:]).fit(frames[:9], y[:9])
    np.testing.assert_array_equal(again.predict(frames), expected)


def test_B17_a_last_batch_of_one(frames, y):
    net = clone(MODELS["NeuralNetworkRegressor"]).set_params(batch_size=7)
    model = potential(net).fit(frames[:16], y[:16])
    assert np.isfinite(model.predict(frames)).all()


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (np.nan, "sample_weight contains NaN"),
        (-1.0, "sample_weight is negative at structures 0"),
        (0.0, "(?i)sample.weight.*zero"),
    ],
)
@pytest.mark.parametrize("name", ["AtomicRidge", "AtomicKernelRidge"])
def test_B18_wrong_weights(name, frames, y, weight, words):
    weights = np.full(18, weight)
    step = name.lower() + "__sample_weight"
    with pytest.raises(ValueError, match=words):
        potential(MODELS[name]).fit(frames, y, **{step: weights})


def test_B19_clones_and_new_parameters(frames, y):
    model = potential(AtomicRidge(alpha=1e-4)).fit(frames, y)
    other = clone(model).set_params(atomicridge__alpha=1e3, acsf__r_cut=3.0)
    assert model.get_params()["atomicridge__alpha"] == 1e-4
    assert not np.allclose(other.fit(frames, y).predict(frames), model.predict(frames))


def test_B19_an_unknown_parameter_is_named():
    with pytest.raises(ValueError, match="Invalid parameter 'lambda' for estimator"):
        potential(AtomicRidge()).set_params(atomicridge__lambda=1)


@pytest.mark.parametrize("name", ["AtomicRidge", "AtomicKernelRidge"])
def test_B20_two_workers_score_as_one(name, frames, y):
    one, two = (
        cross_val_score(potential(MODELS[name]), frames, y, cv=2, n_jobs=n)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_B21_a_forked_process_predicts_after_threads_ran(frames, y):
    model = potential(AtomicRidge()).fit(frames, y)
    model.set_params(acsf__n_jobs=2).predict([bulk_of_water(frames)])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_predict, args=(model, frames, queue))
    child.start()
    found = queue.get(timeout=60)
    child.join(10)
    np.testing.assert_array_equal(found, model.predict(frames))


def _predict(model, frames, queue):
    queue.put(model.predict(frames))


def bulk_of_water(frames) -> Atoms:
    cell = frames[0].copy()
    cell.set_cell([4, 4, 4])
    cell.pbc = True
    return cell.repeat(9)


def test_B22_read_only_arrays(model, frames, y):
    frozen = [a.copy() for a in frames]
    for atoms, source in zip(frozen, frames):
        atoms.calc = SinglePointCalculator(atoms, **source.calc.results)
        atoms.calc.results["forces"].flags.writeable = False
        for array in atoms.arrays.values():
            array.flags.writeable = False
    targets = y.copy()
    targets.flags.writeable = False
    found = clone(model).fit(frozen, targets).predict(frozen)
    np.testing.assert_array_equal(found, model.fit(frames, y).predict(frames))


def test_B23_pickled_copies(model, frames, y):
    model.fit(frames, y)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.predict(frames), model.predict(frames))
    for one, two in zip(predict_forces(twin, frames), predict_forces(model, frames)):
        np.testing.assert_array_equal(one, two)


def test_B24_before_fit(model, frames):
    with pytest.raises(NotFittedError):
        model.predict(frames)


@pytest.mark.parametrize("name", ["AtomicRidge", "AtomicKernelRidge"])
def test_B25_the_order_of_frames(name, frames, y):
    order = np.random.default_rng(0).permutation(len(frames))
    one = potential(MODELS[name]).fit(frames, y)
    two = potential(MODELS[name]).fit([frames[s] for s in order], y[order])
    # sums in another order, through a solve of condition 1e8
    np.testing.assert_allclose(two.predict(frames), one.predict(frames), atol=1e-6)


def test_B25_the_order_of_frames_to_predict(model, frames, y):
    model.fit(frames, y)
    np.testing.assert_allclose(
        model.predict(frames[::-1]), model.predict(frames)[::-1], atol=1e-10
    )


# -- labels that travel with frames ----------------------------------------------------


def test_X02_frames_without_forces_are_masked(frames, y):
    some = [a if s % 2 else a.copy() for s, a in enumerate(frames)]
    forces = [a.calc.results["forces"] if s % 2 else None for s, a in enumerate(frames)]
    bare = [a.copy() for a in frames]
    one = potential(AtomicRidge()).fit(some, y)
    two = potential(AtomicRidge()).fit(bare, y, atomicridge__forces=forces)
    np.testing.assert_array_equal(one.predict(frames), two.predict(frames))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda f: f[:-1], "Forces of structure 4 have shape", id="X03"),
        pytest.param(
            lambda f: f * np.nan, "Forces of structure 4 are NaN", id="X03-NaN"
        ),
    ],
)
def test_X03_wrong_forces_are_named(model, frames, y, spoil, words):
    wrong = [a.copy() for a in frames]
    for atoms, source in zip(wrong, frames):
        atoms.arrays["forces"] = source.calc.results["forces"]
    forces = [a.arrays["forces"] for a in wrong]
    forces[4] = spoil(forces[4])
    with pytest.raises(ValueError, match=words):
        model.fit(wrong, y, **{f"{model.steps[-1][0]}__forces": forces})


def test_X24_forces_asked_for_but_absent(model, frames, y):
    bare = [a.copy() for a in frames]
    model.set_params(**{f"{model.steps[-1][0]}__forces": "calc"})
    with pytest.raises(
        ValueError, match=r"No forces at structures 0, 1, 2, 3, 4 and 13"
    ):
        model.fit(bare, y)


def test_X24_a_misspelt_name_of_forces(frames, y):
    named = [a.copy() for a in frames]
    for atoms, source in zip(named, frames):
        atoms.arrays["dft_forces"] = source.calc.results["forces"]
    with pytest.raises(ValueError, match="Did you mean 'dft_forces'"):
        potential(AtomicRidge(forces="dft_force")).fit(named, y)


def test_X25_constraints_do_not_touch_training_forces(frames, y):
    fixed = []
    for source in frames:
        atoms = source.copy()
        atoms.calc = SinglePointCalculator(atoms, **source.calc.results)
        atoms.set_constraint(FixAtoms(range(len(atoms))))
        fixed.append(atoms)
    one = potential(AtomicRidge()).fit(fixed, y)
    two = potential(AtomicRidge()).fit(frames, y)
    np.testing.assert_array_equal(one.predict(frames), two.predict(frames))
    assert np.abs(np.concatenate(predict_forces(one, fixed))).max() > 0.01


def test_X27_frames_that_moved_since_they_were_labelled(model, frames, y):
    moved = Structures(pickle.loads(pickle.dumps(Structures(frames))))
    moved[7].positions += 0.01 * np.arange(3)
    with pytest.raises(
        ValueError, match=r"Structure 7 has changed \(positions\) since"
    ):
        model.fit(moved, y)


def test_X28_stress_of_a_molecule(frames, y):
    odd = [a.copy() for a in frames]
    odd[3].info["stress"] = np.zeros(6)
    with pytest.raises(ValueError, match="Structure 3 has a stress label but no vol"):
        potential(AtomicRidge(stress="stress")).fit(odd, y)


def test_X29_the_generators_of_the_user_are_left_alone(model, frames, y):
    np.random.seed(3)  # noqa: NPY002 - the global state is what must not change
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    model.fit(frames, y).predict(frames)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_X26_stress_has_the_sign_of_ase():
    crystals = []
    for a in np.linspace(3.4, 3.9, 9):
        crystals.append(labelled(bulk("Cu", a=a), stress=True))
    y = read_energies(crystals)
    model = potential(AtomicKernelRidge(stress="auto")).fit(crystals, y)
    from skatom import predict_stress

    found = predict_stress(model, [bulk("Cu", a=3.75), bulk("Cu", a=3.45)])
    expected = [labelled(bulk("Cu", a=a), stress=True) for a in (3.75, 3.45)]
    for stress, atoms in zip(found, expected):
        reference = atoms.calc.results["stress"]
        np.testing.assert_allclose(
            stress, reference, atol=0.1 * np.abs(reference).max()
        )
