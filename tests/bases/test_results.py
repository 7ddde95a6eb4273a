"""Results of bases: computed once, told apart, shared, bounded, never trusted blindly."""

import os
import time
from threading import Lock

import joblib
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT as ASEsEMT
from ase.stress import voigt_6_to_full_3x3_stress
from conftest import rattled

from skatom.bases import BaseError
from skatom.bases._results import CACHE, ResultFolder
from skatom.potential import CalculatorRegressor, evaluate

RUNS: list[str] = []


class Counted(Calculator):
    """Harmonic wells at the origin; counts what it computes."""

    implemented_properties = ("energy", "forces")

    def __init__(self, k=1.0, failing="X"):
        super().__init__()
        self.k, self.failing = k, failing

    def calculate(self, *arguments):
        super().calculate(*arguments)
        RUNS.append(str(self.atoms.symbols))
        r = self.atoms.positions
        value = np.nan if self.failing in self.atoms.symbols else self.k
        scale = value * (1.0 + self.atoms.info.get("field", 0.0))
        self.results = {"energy": 0.5 * scale * (r**2).sum(), "forces": -scale * r}


class Locked(Counted):
    """A calculator that cannot be pickled, as some with open files."""

    def __init__(self):
        super().__init__()
        self.lock = Lock()

    def __deepcopy__(self, memo):
        return Locked()


@pytest.fixture(autouse=True)
def _nothing_known():
    CACHE.clear()
    RUNS.clear()


@pytest.fixture
def frames():
    return [rattled(molecule("H2O"), k) for k in range(4)]


def test_a_structure_is_computed_once(frames):
    model = CalculatorRegressor(Counted())
    model.predict(frames + frames)
    model.predict_forces(frames)
    CalculatorRegressor(Counted()).predict_forces(frames[::-1])  # as clones and folds
    assert len(RUNS) == 4


def test_other_settings_and_other_structures_are_other_results(frames):
    one = CalculatorRegressor(Counted(1.0)).predict(frames)
    np.testing.assert_allclose(
        CalculatorRegressor(Counted(2.0)).predict(frames), 2 * one
    )
    for atoms in frames:
        atoms.info["field"] = 1.0
    np.testing.assert_allclose(
        CalculatorRegressor(Counted(1.0)).predict(frames), 2 * one
    )
    assert len(RUNS) == 12


def test_a_calculator_that_cannot_be_told_apart_is_computed_anew(frames):
    model = CalculatorRegressor(Locked())
    np.testing.assert_array_equal(model.predict(frames), model.predict(frames))
    assert len(RUNS) >= 4
    assert len(CACHE) == 0
    RUNS.clear()
    for atoms in frames:
        atoms.info["lock"] = Lock()
    CalculatorRegressor(Counted()).predict(frames)
    assert (len(RUNS), len(CACHE)) == (4, 0)


def test_failures_are_kept_too(frames):
    model = CalculatorRegressor(Counted(failing="O"))
    for _ in range(2):
        with pytest.raises(BaseError, match=r"structure 0 \(H2O\): its energy .* NaN"):
            model.predict(frames)
    assert len(RUNS) == 4


def test_memory_is_bounded(frames):
    CalculatorRegressor(Counted(), max_memory=2000).predict(frames)
    assert 0 < CACHE.n_bytes <= 2000
    assert len(CACHE) < 4
    CalculatorRegressor(Counted(), max_memory=2000).predict(frames[-1:])
    assert len(RUNS) == 4  # the last one is still there
    with pytest.raises(ValueError, match="max_memory"):
        CalculatorRegressor(Counted(), max_memory="much").predict(frames)


@pytest.mark.parametrize("kind", [str, joblib.Memory])
def test_a_folder_is_shared_by_sessions(frames, tmp_path, kind):
    memory = kind(str(tmp_path)) if kind is str else kind(tmp_path, verbose=0)
    expected = CalculatorRegressor(Counted(), memory=memory).predict_forces(frames)
    CACHE.clear()  # as a new process
    again = CalculatorRegressor(Counted(), memory=memory).predict_forces(frames)
    np.testing.assert_array_equal(again, expected)
    assert len(RUNS) == 4


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not one", None])
def test_damaged_files_are_computed_anew(frames, tmp_path, damage):
    model = CalculatorRegressor(Counted(), memory=tmp_path)
    expected = model.predict(frames[:1])
    (path,) = tmp_path.rglob("*.npz")
    if damage is None:  # of another structure
        np.savez(path, energy=np.array(0.0), forces=np.zeros((7, 3)))
    else:
        path.write_bytes(damage)
    CACHE.clear()
    model = CalculatorRegressor(Counted(), memory=tmp_path)  # with a new calculator
    np.testing.assert_array_equal(model.predict(frames[:1]), expected)
    assert len(RUNS) == 2


def test_the_folder_is_bounded(frames, tmp_path):
    folder = ResultFolder(tmp_path, limit=1e9)
    for k in range(4):
        folder.add(f"{k}{k}", {"energy": np.array(float(k))})
        os.utime(folder._path(f"{k}{k}"), (time.time() - 100 + k,) * 2)
    size = sum(p.stat().st_size for p in tmp_path.rglob("*.npz"))
    ResultFolder(tmp_path, limit=size / 2).make_room()
    left = sorted(path.stem for path in tmp_path.rglob("*.npz"))
    assert left == ["22", "33"]
    assert folder.get("33", 3)["energy"] == 3.0


def test_a_folder_that_cannot_be_written_is_warned_of(frames, tmp_path):
    place = tmp_path / "file"
    place.write_text("in the way")
    with pytest.warns(UserWarning, match="cannot be kept in"):
        found = CalculatorRegressor(Counted(), memory=place).predict(frames[:1])
    assert np.isfinite(found).all()


def test_two_jobs_give_the_same_bits(frames):
    one = CalculatorRegressor("lj").predict_forces(frames)
    CACHE.clear()
    with joblib.parallel_config(backend="threading"):  # processes take seconds to start
        two = CalculatorRegressor("lj", n_jobs=2).predict_forces(frames)
    np.testing.assert_array_equal(one, two)
    assert len(CACHE) == 4  # what other workers computed


def test_progress_is_shown_when_asked_for(frames, capsys):
    CalculatorRegressor("lj", verbose=1).predict(frames)
    assert "base 'lj': 4 structures" in capsys.readouterr().err


def test_stress_is_read_in_whatever_form_it_is_stored():
    class Full(ASEsEMT):
        """Stress as a matrix, and energies of atoms of the wrong length."""

        def calculate(self, *arguments):
            super().calculate(*arguments)
            self.results["stress"] = voigt_6_to_full_3x3_stress(self.results["stress"])
            self.results["energies"] = self.results["energies"][:-1]

    crystal = [rattled(bulk("Cu", cubic=True))]
    found = evaluate(CalculatorRegressor(Full()), crystal, stress=True)
    expected = evaluate(CalculatorRegressor(ASEsEMT()), crystal, stress=True)
    np.testing.assert_allclose(found.stress, expected.stress)
    np.testing.assert_array_equal(found.forces, expected.forces)
