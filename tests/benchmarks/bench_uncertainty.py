"""Time error bars against the predictions that they belong to.

Run ``python tests/benchmarks/bench_uncertainty.py`` (seconds with ``--smoke``). One
process, one thread, CPU time, turn by turn, medians; minima for what an error bar adds to
a prediction, which is less than the scatter of times on a busy machine. The floor of an
error bar is zero; that of an ensemble whose members share their features is one
featurization.
"""

import argparse
import os
import time
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.models import NeuralNetworkRegressor
from skatom.potential import predict_forces
from skatom.preprocessing import PerAtom
from skatom.uncertainty import (
    CalibratedStdRegressor,
    EnsembleRegressor,
    LastLayerRigidity,
)


def typical(functions, repeats, statistic=np.median):
    """Median CPU seconds of each function, called in turns after a first call."""
    for function in functions:
        function()
    times = []
    for _ in range(repeats):
        row = []
        for function in functions:
            start = time.process_time()
            function()
            row.append(time.process_time() - start)
        times.append(row)
    return statistic(times, axis=0)


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="few frames and epochs")
    parser.add_argument(
        "--single", action="store_true", help="one model, energies only"
    )
    args = parser.parse_args()
    smoke = args.smoke
    data = load_dataset("3bpa", "train")
    n_train, n_frames, repeats = (40, 60, 1) if smoke else (400, 1000, 5)
    train, y = data.frames[:n_train], data.energies[:n_train]
    network = NeuralNetworkRegressor(
        (64, 64), forces=None, max_epochs=2, random_state=0
    )
    pipeline = make_pipeline(ACSF(r_cut=5.0), PerAtom(StandardScaler()), network)
    frames = (list(data.frames) * 2)[:n_frames]

    models = {
        source: CalibratedStdRegressor(
            pipeline, source=source, forces=None, random_state=0
        ).fit(train, y)
        for source in ("latent", "llpr")
    }
    inner = models["llpr"].estimator_
    calls = [partial(inner.predict, frames)]
    calls += [
        partial(model.predict, frames, return_std=True) for model in models.values()
    ]
    alone, *with_std = typical(calls, 3 * repeats, np.min)
    print(f"energies of {n_frames} frames of 3BPA, {n_train} to train: {alone:.3f} s")
    for source, seconds in zip(models, with_std):
        print(f"  with {source} error bars: + {100 * (seconds / alone - 1):.1f} %")

    if args.single:
        return
    few = frames[: n_frames // 20]
    rigidity = LastLayerRigidity(inner).fit(train)
    if hasattr(network, "latent_pushforward"):
        calls = [
            partial(predict_forces, inner, few),
            partial(predict_forces, rigidity, few, return_std=True),
        ]
        alone, with_std = typical(calls, repeats)
        print(f"forces of {len(few)} frames: {alone:.3f} s")
        print(f"  with LLPR error bars: {with_std / alone:.1f} times")

    shared, apart = (
        EnsembleRegressor(pipeline, 5, share_features=share, random_state=0).fit(
            train, y
        )
        for share in (True, False)
    )
    calls = [partial(inner.predict, frames)]
    calls += [partial(e.predict, frames, return_std=True) for e in (shared, apart)]
    single, together, each = typical(calls, repeats)
    print(f"ensemble of 5, energies, over a single model ({single:.3f} s):")
    print(f"  features shared {together / single:.2f}, not shared {each / single:.2f}")
    calls = [partial(predict_forces, m, few) for m in (inner, shared, apart)]
    calls += [partial(predict_forces, m, few, return_std=True) for m in (shared, apart)]
    times = typical(calls, repeats)
    print(f"ensemble of 5, forces, over a single model ({times[0]:.3f} s):")
    print(
        "  mean: features shared {:.2f}, not shared {:.2f}".format(
            *times[1:3] / times[0]
        )
    )
    print("  with std: shared {:.2f}, not shared {:.2f}".format(*times[3:] / times[0]))


if __name__ == "__main__":
    main()
