"""The command line: the main job from end to end, and what the other commands tell."""

import json
import re
import runpy
import subprocess
import sys

import ase.io
import numpy as np
import pytest

from skatom import SkatomCalculator, cli
from skatom.cli import _demo_job as _job
from skatom.cli import _demo_text as _report
from skatom.cli.info import PACKAGES
from skatom.datasets import list_datasets, load_dataset
from skatom.persistence import load
from skatom.report._judge import Intervals, Judgement

TINY = _job.Size(n_fit=30, n_calibration=30, n_test=60, picoseconds=0.05)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Folder and text of one small run of the demo."""
    out = tmp_path_factory.mktemp("demo") / "new folder"
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_job, "QUICK", TINY)
        _job.run_demo(out, quick=True, say=lines.append)
    return out, "\n".join(lines)


@pytest.fixture(scope="module")
def report(finished):
    return json.loads((finished[0] / "report.json").read_text())


def test_demo_learns(report):
    baseline = report["models"]["composition"]["errors"]
    errors = report["models"]["potential"]["errors"]
    assert errors["energy_mae"] < 0.3 * baseline["energy_mae"]
    assert errors["force_mae"] < 0.3 * baseline["force_mae"]
    assert errors["energy_mae"] <= errors["energy_rmse"]


def test_demo_intervals_cover_and_are_narrower_than_those_of_the_baseline(report):
    baseline = report["models"]["composition"]["intervals"]
    found = report["models"]["potential"]["intervals"]
    scatter = np.sqrt(0.09 * (1 / (found["n_calibration"] + 2) + 1 / TINY.n_test))
    assert abs(found["energy_coverage"] - 0.9) < 4 * scatter
    assert abs(found["force_coverage"] - 0.9) < 4 * scatter
    assert found["energy_width"] < 0.5 * baseline["energy_width"]
    assert found["force_width"] < 0.5 * baseline["force_width"]


def test_demo_conserves_energy(report):
    run = report["dynamics"]
    assert run["n_steps"] == 100
    assert 50 < run["temperature"] < 700  # nine atoms, 50 fs
    assert run["relative_drift"] < 0.01
    assert 0 <= run["flagged"] <= 1


def test_demo_tells_numbers_with_their_units(finished, report):
    text = finished[1]
    errors = report["models"]["potential"]["errors"]
    assert "energy (eV)" in text
    assert "forces (meV/Å)" in text
    assert f"{errors['energy_mae']:.4f}" in text
    assert f"{1000 * errors['force_rmse']:.1f}" in text
    assert "of the kinetic energy" in text
    assert "never trained on" in text


def test_demo_text_fits_a_terminal(finished):
    folder = str(finished[0])
    long = [line for line in finished[1].splitlines() if len(line) > 80]
    assert not [line for line in long if folder not in line]


def test_demo_names_the_files_that_it_wrote(finished):
    out, text = finished
    for name in ("parity.png", "model.skatom", "nve.extxyz", "report.json"):
        assert str(out / name) in text
        assert (out / name).stat().st_size > 100


def test_saved_model_predicts_what_was_reported(finished, report):
    test = load_dataset("malonaldehyde", "test")
    X, y = test.frames[: TINY.n_test], test.energies[: TINY.n_test]
    model = load(finished[0] / "model.skatom")
    error = np.abs(model.predict(X) - y).mean()
    assert error == pytest.approx(report["models"]["potential"]["errors"]["energy_mae"])


def test_saved_run_holds_the_forces_of_the_saved_model(finished):
    out, _ = finished
    frames = ase.io.read(out / "nve.extxyz", ":")
    assert len(frames) == 6  # 50 fs, one every 10
    atoms = frames[-1].copy()
    atoms.calc = SkatomCalculator.from_file(out / "model.skatom")
    # eight decimals in the file, times the stiffness of a bond
    np.testing.assert_allclose(atoms.get_forces(), frames[-1].get_forces(), atol=1e-5)


def test_demo_needs_its_extras_before_it_starts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_job, "find_spec", lambda name: None)
    assert cli.main(["demo", "--out", str(tmp_path / "x")]) == 1
    assert re.search(
        r"needs matplotlib and skops: pip install \"skatom\[viz,share\]\"",
        capsys.readouterr().err,
    )
    assert not (tmp_path / "x").exists()


def test_demo_command_passes_its_options_on(tmp_path, monkeypatch, capsys):
    def run_demo(out, *, quick, say):
        say(f"{out} {quick}")

    monkeypatch.setattr("skatom.cli._demo_job.run_demo", run_demo)
    assert cli.main(["demo", "--quick", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path} True\n"


def test_datasets_lists_all(capsys):
    assert cli.main(["datasets"]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^{name} ", out, re.M) for name in list_datasets())


@pytest.mark.parametrize("name", list_datasets())
def test_datasets_tells_licence_citation_and_units(name, capsys):
    assert cli.main(["datasets", name]) == 0
    out = capsys.readouterr().out
    for word in ("licence", "cite", "doi:10.", "forces eV/Å", "source"):
        assert word in out


def test_unknown_data_set_is_a_sentence_and_a_status(capsys):
    assert cli.main(["datasets", "silicn"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("skatom: There is no data set 'silicn'")
    assert "Did you mean 'silicon'?" in captured.err


def test_info_names_versions(capsys):
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"numpy +{re.escape(np.__version__)}", out)


def test_info_names_the_extra_of_what_is_missing(capsys, monkeypatch):
    monkeypatch.setitem(PACKAGES, "no-such-package", "viz")
    monkeypatch.setitem(PACKAGES, "no-such-need", "")
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert re.search(r'no-such-package +missing: pip install "skatom\[viz\]"', out)
    assert re.search(r"no-such-need +missing: pip install no-such-need$", out, re.M)


def test_info_tells_about_a_model_file(finished, capsys):
    assert cli.main(["info", str(finished[0] / "model.skatom")]) == 0
    out = capsys.readouterr().out
    assert re.search(r"estimator +ConformalRegressor", out)
    assert re.search(r"species +H C O", out)
    assert "AtomicKernelRidge" in out
    assert "to be trusted" not in out


def test_info_about_another_file_is_a_sentence(tmp_path, capsys):
    (tmp_path / "x").write_text("hello")
    assert cli.main(["info", str(tmp_path / "x")]) == 1
    assert "not a skatom model file" in capsys.readouterr().err


def test_interruption_is_told_without_a_traceback(monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("skatom.cli._demo_job.run_demo", interrupted)
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "skatom: interrupted\n"


def test_a_command_is_required(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([])
    assert stop.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


def test_module_runs_as_a_script(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["skatom", "datasets"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("skatom", run_name="__main__")
    assert stop.value.code == 0
    assert "malonaldehyde" in capsys.readouterr().out


def test_output_cut_off_by_a_pager_is_no_error():
    command = f"{sys.executable} -m skatom datasets | head -c 10"
    found = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert found.stderr == ""


def test_figure_shows_energies_and_forces_with_error_bars(finished):
    rng = np.random.default_rng(0)
    y, forces = rng.normal(size=30), rng.normal(size=(90, 3))
    model_report = json.loads((finished[0] / "report.json").read_text())
    intervals = Intervals(**model_report["models"]["potential"]["intervals"])
    judged = Judgement(
        y,
        y + 0.01,
        y[:, None] + [-0.1, 0.1],
        forces,
        forces,
        forces[..., None] + [-0.1, 0.1],
        errors=None,
        intervals=intervals,
    )
    axes = _report.figure(judged).axes
    assert [ax.get_ylabel() for ax in axes] == [
        "predicted E − mean (eV)",
        "predicted F (eV/Å)",
        "predicted − reference E (meV)",
        "predicted − reference F (meV/Å)",
    ]
    assert all(ax.collections for ax in axes)  # the error bars


COMPILE = """
import sys
from numba.core.dispatcher import Dispatcher

from skatom.cli._compile import compile_task, tasks

assert all(compile_task(name) > 0.0 for name in tasks())
for name, module in list(sys.modules.items()):
    if name.startswith(("skatom.featurizers.", "skatom.neighbors.")):
        for key, value in vars(module).items():
            if isinstance(value, Dispatcher) and not value.signatures:
                if value.targetoptions.get("nogil"):  # a kernel, not a part of one
                    print(f"{name}.{key}")
"""


def test_compile_uses_every_kernel():
    # a process of its own: other tests of this one have used kernels already
    unused = subprocess.run(
        [sys.executable, "-c", COMPILE], capture_output=True, text=True
    )
    assert unused.returncode == 0, unused.stderr
    assert unused.stdout == ""


@pytest.mark.parametrize("jobs", ["0", "-1"])
def test_compile_needs_a_process(jobs, capsys):
    assert cli.main(["compile", "--jobs", jobs]) == 1
    assert "at least one process is needed" in capsys.readouterr().err


def test_compile_passes_its_option_on(monkeypatch, capsys):
    asked = []

    def recorded(n_jobs):
        asked.append(n_jobs)
        yield "SOAP", 1.5

    monkeypatch.setattr("skatom.cli._compile.precompile", recorded)
    assert cli.main(["compile", "--jobs", "3"]) == 0
    assert asked == [3]
    assert "SOAP                    1.5 s\nall" in capsys.readouterr().out
