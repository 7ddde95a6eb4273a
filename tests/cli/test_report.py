"""`skatom report`: files that there is nothing to report on are told in one sentence."""

import ase.io
import pytest
from ase.build import molecule
from ase.io.trajectory import Trajectory
from sklearn.pipeline import make_pipeline

from skatom.cli.main import main
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge
from skatom.persistence import save


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models without error bars, and files of structures that hold none."""
    out = tmp_path_factory.mktemp("report")
    frames = [molecule(name) for name in ("H2O", "H2O2", "H2")]
    model = make_pipeline(ACSF(3.0), AtomicKernelRidge()).fit(frames, [-3, -4, -2])
    save(model, out / "plain.skatom")
    save(ACSF(3.0).fit(frames), out / "features.skatom")
    for atoms in frames:
        atoms.info["energy"] = -1.0
    ase.io.write(out / "frames.extxyz", frames)
    for name in ("empty.xyz", "empty.traj", "empty.json"):
        (out / name).touch()
    Trajectory(out / "none.traj", "w").close()
    (out / "junk.cif").write_text("hello\nworld\n")
    return out


@pytest.mark.parametrize(
    ("model", "frames", "sentence"),
    [
        (
            "plain",
            "frames.extxyz",
            "AtomicKernelRidge has neither intervals nor standard",
        ),
        (
            "features",
            "frames.extxyz",
            "ACSF predicts nothing to report on: give a fitted",
        ),
        ("plain", "empty.xyz", "cannot be read as structures (Empty file"),
        ("plain", "empty.traj", "cannot be read as structures (Empty file"),
        ("plain", "empty.json", "cannot be read as structures (Empty file"),
        ("plain", "junk.cif", "cannot be read as structures (AssertionError)"),
        ("plain", "none.traj", "none.traj holds no structures."),
        ("plain", "missing.xyz", "No such file"),
    ],
)
def test_what_there_is_no_report_on_is_a_sentence(
    folder, capsys, model, frames, sentence
):
    status = main(["report", str(folder / f"{model}.skatom"), str(folder / frames)])
    told = capsys.readouterr()
    assert status == 1
    assert told.err.startswith("skatom: ")
    assert told.err.count("\n") == 1
    assert sentence in told.err
