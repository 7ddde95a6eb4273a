"""The demo: fit, judge, save and run a potential."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

import ase.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skatom._runtime.whole_files import write_atomically
from skatom.calculator import SkatomCalculator
from skatom.cli import _demo_text as _report
from skatom.datasets import load_dataset
from skatom.dynamics.constant_energy import run_nve
from skatom.featurizers import ACSF
from skatom.models import AtomicKernelRidge, CompositionBaseline
from skatom.persistence import load, save
from skatom.preprocessing import PerAtom
from skatom.report._judge import judge
from skatom.uncertainty import ConformalRegressor, FeatureDistance

LEVEL = 0.9
TEMPERATURE = 300.0


@dataclass(frozen=True)
class Size:
    """Amount of work that the demo does."""

    n_fit: int
    n_calibration: int
    n_test: int
    picoseconds: float


FULL = Size(n_fit=300, n_calibration=200, n_test=1000, picoseconds=1.0)
QUICK = Size(n_fit=80, n_calibration=60, n_test=200, picoseconds=0.2)


def build_potential() -> Pipeline:
    """Give the unfitted pipeline of the demo: features, scaling, kernel model.

    Returns
    -------
    potential : Pipeline

    Notes
    -----
    Features are centred and keep their spread: what hardly changes from one environment
    to the next shall not count as much as what does. With unit variance
    (``StandardScaler()``) errors are larger.
    """
    return Pipeline(
        [
            ("features", ACSF(r_cut=5.0)),
            ("scale", PerAtom(StandardScaler(with_std=False))),
            ("model", AtomicKernelRidge()),
        ]
    )


def run_demo(
    out: str | Path = "skatom-demo",
    *,
    quick: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> dict:
    """Fit, judge, save and run a potential of malonaldehyde.

    Parameters
    ----------
    out : path-like, default="skatom-demo"
        Folder for the figure, the model, the trajectory and the numbers; made if needed.
    quick : bool, default=False
        Fewer structures and a shorter run.
    say : callable, optional
        Takes the lines of the report, such as `print`; silent by default.

    Returns
    -------
    report : dict
        The numbers of the report, as in ``report.json``.
    """
    began = perf_counter()
    _need_extras()
    size = QUICK if quick else FULL
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    train, test = (load_dataset("malonaldehyde", split) for split in ("train", "test"))
    n_train = size.n_fit + size.n_calibration
    X, y = train.frames[:n_train], train.energies[:n_train]
    X_test, y_test = test.frames[: size.n_test], test.energies[: size.n_test]
    say(_report.introduction(train.record, size.n_fit, size.n_calibration, len(X_test)))

    models = {
        name: ConformalRegressor(
            model,
            confidence_level=LEVEL,
            calibration_size=size.n_calibration,
            random_state=0,
        )
        for name, model in (
            ("composition", CompositionBaseline()),
            ("potential", build_potential()),
        )
    }
    with _step(say, "Compile the kernels, fit, and calibrate the error bars"):
        for model in models.values():
            model.fit(X, y)
    with _step(say, f"Predict {len(X_test)} test structures"):
        judged = {name: judge(model, X_test, y_test) for name, model in models.items()}
    say(_report.tables(judged))

    with _step(say, "Draw and save"):
        _report.figure(judged["potential"]).savefig(out / "parity.png", dpi=160)
        path = save(models["potential"], out / "model.skatom")
    with _step(say, f"Load {path.name} into an ASE calculator and run dynamics"):
        trajectory, frames = _run_dynamics(path, X, X_test, size.picoseconds)
        ase.io.write(out / "nve.extxyz", frames)
    say(_report.dynamics(trajectory))

    report = _report.numbers(judged, trajectory, seconds=perf_counter() - began)
    text = json.dumps(report, indent=2) + "\n"
    write_atomically(out / "report.json", text.encode())
    say(_report.files(out, report["seconds"]))
    return report


def _need_extras() -> None:
    """Say at once, not after a minute, what is not installed."""
    missing = [name for name in ("matplotlib", "skops") if not find_spec(name)]
    if missing:
        raise ImportError(
            f'The demo needs {" and ".join(missing)}: pip install "skatom[viz,share]".'
        )


def _run_dynamics(path: Path, X, X_test, picoseconds: float):
    """Run the saved model, watched by distances to what it was fitted on."""
    model = load(path)
    watch = FeatureDistance(model, random_state=0).fit(
        X[model.train_indices_], X_calibration=X[model.calibration_indices_]
    )
    calculator = SkatomCalculator(model, novelty=watch)
    return run_nve(
        X_test[0], calculator, temperature=TEMPERATURE, picoseconds=picoseconds
    )


@contextmanager
def _step(say: Callable[[str], None], what: str) -> Iterator[None]:
    say(f"  {what} ...")
    began = perf_counter()
    yield
    say(f"{'':>66}{perf_counter() - began:8.1f} s")
