"""Errors of SchNet and PaiNN on revised MD17 after a given number of epochs.

    python tests/benchmarks/accuracy_message_passing.py [--data DIR --molecule aspirin]
        [--model painn] [--epochs 150] [--sizes 200 950] [--checkpoint FILE]

Official split 1: the last 50 of the first 1000 training frames choose the epoch that is
kept, MAE on the 1000 test frames. Without --data, the malonaldehyde that skatom ships.
Nothing is tuned: the settings below are those of the estimators but for the schedule,
a cosine over the number of epochs that there is time for.
"""

import argparse
import io
import lzma
import time
from pathlib import Path

import numpy as np
from ase.io import read

from skatom import predict_forces
from skatom.datasets import load_dataset
from skatom.models import PaiNNRegressor, SchNetRegressor

MODELS = {"schnet": SchNetRegressor, "painn": PaiNNRegressor}
N_VALIDATION = 50


def split(data, molecule):
    if data is None:
        parts = [load_dataset(molecule, part).frames for part in ("train", "test")]
    else:
        names = [f"{data}/rmd17/rmd17_{molecule}_{p}_split1" for p in ("train", "test")]
        parts = [_read(name) for name in names]
    return [list(part) for part in parts]


def _read(name):
    text = lzma.decompress(Path(f"{name}.extxyz.xz").read_bytes()).decode()
    return read(io.StringIO(text), index=":", format="extxyz")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", help="folder with rmd17/ inside")
    parser.add_argument("--molecule", default="malonaldehyde")
    parser.add_argument("--model", choices=MODELS, action="append")
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--sizes", type=int, nargs="+", default=[950])
    parser.add_argument("--checkpoint", help="file to go on from, and to write to")
    parser.add_argument("--smoke", action="store_true", help="a minimal run")
    given = parser.parse_args()
    if given.smoke:
        given.epochs, given.sizes = 2, [20]
    train, test = split(given.data, given.molecule)
    if given.smoke:
        test = test[:20]
    energies = np.array([a.get_potential_energy() for a in test])
    forces = np.concatenate([a.get_forces() for a in test])
    print("model    frames  epochs  E MAE (meV)  F MAE (meV/Å)  fit (s)")
    for name in given.model or MODELS:
        for n in given.sizes:
            frames = train[:n] + train[-N_VALIDATION:]
            model = MODELS[name](
                max_epochs=given.epochs,
                lr_schedule="cosine",
                patience=None,
                checkpoint=given.checkpoint,
                random_state=0,
                verbose=0 if given.smoke else 1,
            )
            began = time.perf_counter()
            y = np.array([a.get_potential_energy() for a in frames])
            model.fit(frames, y, validation=np.arange(len(frames)) >= n)
            spent = time.perf_counter() - began
            e = np.abs(model.predict(test) - energies).mean()
            f = np.abs(np.concatenate(predict_forces(model, test)) - forces).mean()
            print(
                f"{name:8s} {n:6d} {model.n_epochs_:7d} {1000 * e:12.2f} "
                f"{1000 * f:14.2f} {spent:8.0f}"
            )


if __name__ == "__main__":
    main()
