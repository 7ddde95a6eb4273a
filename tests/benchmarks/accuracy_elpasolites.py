"""Learning curves of AlchemicalKernelRidge on elpasolites: 39 elements, 1 to 4 learned.

    python tests/benchmarks/accuracy_elpasolites.py --data DIR [--sizes 100 250 ...]

DIR holds ``elpasolite_energies.csv`` (species of the sites A, B, C and D of A B C2 D6,
formation energies in eV/atom, of F. A. Faber et al., Phys. Rev. Lett. 117, 135502
(2016)) and, if there, the published learning curves ``ref_*_avgmae.dat``. The relaxed
structures are not public in a form we could use: THE GEOMETRY IS CONSTRUCTED here, the
cubic prototype with lattice constants from covalent radii. So these errors and the
published ones, which were obtained with relaxed structures, are not of the same task.

SOAP(5.0, n_max=4, l_max=3) averaged over atoms; full: the same kernel on all 49 000
columns, alpha and gamma by closed leave-one-out. Everything is chosen inside the training
structures. ``--couplings-from N`` adds rows whose couplings were learned on N crystals
(of which the rows' own are the first) and are then kept: what of the error comes from
learning couplings on few. With ``--smoke``, or without --data, made-up energies of eight
elements are learned instead.
"""

import argparse
import csv
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from scipy.linalg import cho_factor, cho_solve

from skatom.featurizers import SOAP
from skatom.models import AlchemicalKernelRidge
from skatom.models._alchemical.pooled import mean_rows
from skatom.preprocessing import AlchemicalCompression

N_COMPONENTS = (1, 2, 4)
PUBLISHED = {"full": "standard_soap", 1: "dj1", 2: "dj2", 4: "dj4"}
ALPHAS = 10.0 ** np.arange(-6, 0)
GAMMAS = 2.0 ** np.arange(-5, 4)


def prototype(A: str, B: str, C: str, D: str) -> Atoms:
    """Give A B C2 D6 in the elpasolite structure, atoms as large as their radii."""
    a, b, c, d = (covalent_radii[atomic_numbers[s]] for s in (A, B, C, D))
    straight = 2 * (a + 2 * d + b)
    edge = max(straight, 2 * np.sqrt(2) * (c + d), 3.6 * np.sqrt(2) * d)
    x = (a + d) / straight
    sites = [(0, 0, 0), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), (0.75, 0.75, 0.75)]
    sites += [tuple(s * x * e) for e in np.eye(3) for s in (1, -1)]
    cell = edge / 2 * (1.0 - np.eye(3))
    return Atoms([A, B, C, C, *[D] * 6], edge * np.array(sites), cell=cell, pbc=True)


def read(folder: Path) -> tuple[list[tuple], np.ndarray]:
    with (folder / "elpasolite_energies.csv").open() as file:
        rows = list(csv.DictReader(file))
    energies = [float(row["formation_energy_eV_per_atom"]) for row in rows]
    return [tuple(row[k] for k in "ABCD") for row in rows], np.array(energies)


def invented() -> tuple[list[tuple], np.ndarray]:
    """Energies that follow from two hidden numbers of each of eight elements."""
    rng = np.random.default_rng(0)
    elements = ["Li", "F", "Na", "Al", "Cl", "K", "Rb", "Br"]
    hidden = dict(zip(elements, rng.normal(size=(8, 2))))
    sites = [tuple(rng.permutation(elements)[:4]) for _ in range(200)]
    values = [np.array([hidden[s] for s in four]) for four in sites]
    counts = np.array([0.1, 0.1, 0.2, 0.6])
    return sites, np.array([counts @ v[:, 0] + 0.3 * v[0, 1] * v[3, 1] for v in values])


def full_kernel(train: np.ndarray, y: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Kernel ridge on all columns, chosen by the closed leave-one-out error."""
    train, test = (r / np.linalg.norm(r, axis=1, keepdims=True) for r in (train, test))
    mean, squares, found = y.mean(), 2 - 2 * train @ train.T, []
    for gamma in GAMMAS:
        kernel = np.exp(-gamma * squares)
        for alpha in ALPHAS:
            inverse = np.linalg.inv(kernel + alpha * np.eye(len(y)))
            left_out = inverse @ (y - mean) / np.diag(inverse)
            found.append((np.mean(left_out**2), gamma, alpha))
    _, gamma, alpha = min(found)
    factor = cho_factor(np.exp(-gamma * squares) + alpha * np.eye(len(y)))
    kernel = np.exp(-gamma * (2 - 2 * test @ train.T))
    return mean + kernel @ cho_solve(factor, y - mean)


def published(folder: Path | None, name) -> dict[int, float]:
    name = name if name == "full" else int(str(name)[0])
    path = folder and folder / f"ref_{PUBLISHED[name]}_avgmae.dat"
    if path is None or not path.exists():
        return {}
    return {int(row[0]): row[1] for row in np.loadtxt(path)[:, :2]}


def learner(n_components: int, steps: int) -> AlchemicalKernelRidge:
    return AlchemicalKernelRidge(
        n_components, baseline="mean", n_steps=steps, random_state=0
    )


def couplings_from(n: int | None, train, y: np.ndarray, steps: int) -> dict:
    """Learn couplings on n crystals, for rows of fewer ones."""
    made = {}
    for k in N_COMPONENTS if n else ():
        learned = learner(k, steps).fit(train[:n], 10 * y[:n]).alchemical_components_
        compression = AlchemicalCompression(k, init=learned).fit(train[:1])
        made[f"{k}, couplings of {n}"] = compression
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 250, 500, 1000])
    parser.add_argument("--n-test", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--couplings-from", type=int, help="crystals to learn them on")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    smoke = options.smoke or options.data is None
    sites, y = invented() if smoke else read(options.data)
    sizes, n_test, steps = options.sizes, options.n_test, options.steps
    if smoke:
        print("invented energies of eight elements (elpasolites: skipped, no --data)")
        sizes, n_test, steps = [100], 100, 60
    n_train = max(*sizes, 0 if smoke else options.couplings_from or 0)
    order = np.random.default_rng(options.seed).permutation(len(y))
    frames = [prototype(*sites[s]) for s in order[: n_train + n_test]]
    y = y[order[: len(frames)]]
    species = sorted({s for four in sites for s in four})
    soap = SOAP(5.0, n_max=4, l_max=3, species=species, dtype="float32").fit(frames)
    train = soap.transform(frames[:n_train])
    test = [soap.transform(frames[s : s + 50]) for s in range(n_train, len(frames), 50)]
    y_test = y[n_train:]
    means = mean_rows(train), np.concatenate([mean_rows(part) for part in test])
    print("constructed geometry; MAE in eV/atom, published with relaxed structures\n")
    print("| structures | model | MAE | published | fit (s) |\n|---|---|---|---|---|")
    shared = couplings_from(options.couplings_from, train, y, steps)
    for n in sizes:
        for name in ("full", *N_COMPONENTS, *shared):
            start = time.perf_counter()
            if name == "full":
                predicted = full_kernel(means[0][:n], y[:n], means[1])
            elif name in shared:
                few = [mean_rows(shared[name].transform(p)) for p in (train[:n], *test)]
                predicted = full_kernel(few[0], y[:n], np.concatenate(few[1:]))
            else:
                model = learner(name, steps).fit(train[:n], 10 * y[:n])
                predicted = np.concatenate([model.predict(part) for part in test]) / 10
            seconds = time.perf_counter() - start
            error = np.abs(predicted - y_test).mean()
            beside = published(options.data, name).get(n)
            other = "" if beside is None else f"{beside:.3f}"
            print(
                f"| {n} | {name} | {error:.3f} | {other} | {seconds:.0f} |", flush=True
            )
    if smoke:
        spread = np.abs(y_test - y_test.mean()).mean()
        assert error < 0.7 * spread, f"nothing was learned: {error:.3f} of {spread:.3f}"


if __name__ == "__main__":
    main()
