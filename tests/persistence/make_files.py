"""Write a small model file of every exemplar, with what it predicts, beside this script.

    python tests/persistence/make_files.py

Run it anew whenever the format of model files changes. From version 0.1.0 on the files of a
release stay as they are: every later version must load them.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "contracts"))

from exemplars import FEATURES, MODELS, REGRESSORS, small  # noqa: E402

from skatom.persistence import save  # noqa: E402
from skatom.potential import make_potential  # noqa: E402
from skatom.structures._samples import check_frames, with_labels  # noqa: E402


def answers(estimator, frames) -> np.ndarray:
    """What a fitted exemplar gives for some structures, as one vector."""
    if hasattr(estimator, "predict"):
        return np.asarray(estimator.predict(frames))
    return estimator.transform(frames).values.sum(axis=0)


def exemplars() -> dict:
    """Estimators by the names of their files."""
    models = {name: make_potential(small(), model) for name, model in MODELS.items()}
    found = {**FEATURES, **models, **REGRESSORS}
    return {name.replace(" ", "-"): one for name, one in found.items()}


def main() -> None:
    frames = with_labels(check_frames())
    y = [atoms.get_potential_energy() for atoms in frames]
    expected = {}
    for name, estimator in exemplars().items():
        estimator.fit(frames, y)
        path = save(estimator, HERE / "files" / f"{name}.skatom")
        expected[name] = answers(estimator, frames)
        print(f"{path.stat().st_size / 1000:6.1f} kB  {name}")
    np.savez_compressed(HERE / "files" / "expected.npz", **expected)


if __name__ == "__main__":
    main()
