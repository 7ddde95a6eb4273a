"""Time SOAP against DScribe, featomic and quippy: values, values with forces, the floor.

Run ``python tests/benchmarks/bench_soap.py`` (minutes; seconds with ``--smoke``). All codes
get the same structures, n_max, l_max and sigma, in one process and one thread, in turns,
and medians of CPU time are compared, neighbour search included. Needs ``pip install dscribe
featomic quippy-ase``; a code that is missing is left out.

DScribe counts neighbours up to 6.86 Å for r_cut = 5 Å, so our estimator is timed a second
time with its neighbours, where values are equal and the difference is printed; DScribe's
ratio is to that. The bases of featomic and quippy differ from ours in shape: for them this
is a comparison of cost. Derivatives of all three are the full Jacobian, since none offers
less; ours are the pullback that forces need. DScribe differentiates finite systems only, so
the second table is of clusters.
"""

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time

import numpy as np
from ase import Atoms
from ase.build import bulk

from skatom.featurizers import SOAP

R_CUT, N_MAX, L_MAX, SIGMA = 5.0, 8, 6, 0.5
SPECIES = ["Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br"]
# Gives 42 neighbours within 5 Å.
DENSITY = 0.0802
# One core: products and sums per second, and bytes it can write.
FLOP_A_SECOND = 53e9
BYTES_A_SECOND = 33e9
TURN = 0.02  # seconds that one code works before it is the other's turn


def alloy(n_elements, cells, periodic):
    """Disordered alloy, periodic or a cluster."""
    a = (4 / DENSITY) ** (1 / 3)
    atoms = bulk("Cu", "fcc", a=a, cubic=True) * (cells, cells, cells)
    rng = np.random.default_rng(0)
    atoms.symbols = rng.choice(SPECIES[:n_elements], len(atoms))
    atoms.rattle(0.1, seed=1)
    if periodic:
        atoms.wrap()
        return atoms
    return Atoms(atoms.numbers, atoms.positions)


def dscribe_soap(atoms):
    """DScribe's estimator for the species of a structure."""
    from dscribe.descriptors import SOAP as Peer

    return Peer(
        species=sorted(set(atoms.numbers)),
        r_cut=R_CUT,
        n_max=N_MAX,
        l_max=L_MAX,
        sigma=SIGMA,
        periodic=bool(atoms.pbc.all()),
    )


def dscribe(atoms):
    """Calls of DScribe: values, values and derivatives."""
    peer = dscribe_soap(atoms)
    if atoms.pbc.any():
        return lambda: peer.create(atoms), None
    return lambda: peer.create(atoms), lambda: peer.derivatives(
        atoms, method="analytical", attach=True
    )


def featomic(atoms):
    """Calls of featomic; blocks stay sparse over species."""
    from featomic import SoapPowerSpectrum

    peer = SoapPowerSpectrum(
        cutoff={
            "radius": R_CUT,
            "smoothing": {"type": "ShiftedCosine", "width": 0.5},
        },
        density={"type": "Gaussian", "width": SIGMA},
        basis={
            "type": "TensorProduct",
            "max_angular": L_MAX,
            "radial": {"type": "Gto", "max_radial": N_MAX - 1},
        },
    )
    return lambda: peer.compute([atoms]), lambda: peer.compute(
        [atoms], gradients=["positions"]
    )


def quippy(atoms):
    """Calls of quippy."""
    from quippy.descriptors import Descriptor

    numbers = " ".join(str(z) for z in sorted(set(atoms.numbers)))
    n = len(set(atoms.numbers))
    if not atoms.pbc.any():  # it needs a cell: one too large to matter
        atoms = atoms.copy()
        atoms.set_cell(np.ptp(atoms.positions, axis=0) + 2.5 * R_CUT)
    peer = Descriptor(
        f"soap cutoff={R_CUT} cutoff_transition_width=0.5 n_max={N_MAX} l_max={L_MAX} "
        f"atom_sigma={SIGMA} n_Z={n} Z={{{numbers}}} n_species={n} species_Z={{{numbers}}}"
    )
    return lambda: peer.calc(atoms), lambda: peer.calc(atoms, grad=True)


def ours(atoms, soap):
    """Calls of our own: values, values and forces."""
    soap = soap.fit([atoms])
    g = np.random.default_rng(0).normal(size=soap.transform([atoms]).values.shape)

    def with_forces():
        features = soap.transform([atoms])
        features.pairs.forces(features.pullback(g))

    return lambda: soap.transform([atoms]), with_forces


def medians(functions, repeats):
    """Median CPU time of a call of each function in seconds, some calls in turns."""
    calls = []
    for function in functions:
        calls.append(max(1, int(TURN / seconds(function, 1, warm=True))))
    times = [[seconds(f, n) for f, n in zip(functions, calls)] for _ in range(repeats)]
    return np.median(times, axis=0)


def seconds(function, n_calls, warm=False):
    """CPU time of a call; one more, which warms the caches, does not count."""
    if warm or n_calls > 1:
        function()
    start = time.process_time()
    for _ in range(n_calls):
        function()
    return max(time.process_time() - start, 1e-9) / n_calls


def floor(atoms, with_forces):
    """Least time per atom in us: products and sums, features written once."""
    soap = SOAP(R_CUT, n_max=N_MAX, l_max=L_MAX).fit([atoms])
    features = soap.transform([atoms])
    neighbors = features.pairs.n_pairs / len(atoms)
    n_lm, n_radial = (L_MAX + 1) ** 2, N_MAX * (L_MAX + 1)
    n_channels = len(set(atoms.numbers))
    # splines of degree 5, the expansion, the spectrum of all pairs
    flop = neighbors * (12 * n_radial + 2 * N_MAX * n_lm)
    flop += n_channels * (n_channels + 1) / 2 * 2 * N_MAX**2 * n_lm
    memory = 8 * features.values.shape[1]
    factor = 3 if with_forces else 1
    moved = 2 if with_forces else 1
    return 1e6 * (factor * flop / FLOP_A_SECOND + moved * memory / BYTES_A_SECOND)


def difference(atoms):
    """Largest difference of equal settings from DScribe's values."""
    soap = SOAP.like_dscribe(R_CUT, N_MAX, L_MAX, SIGMA)
    return np.abs(
        soap.fit_transform([atoms]).values - dscribe_soap(atoms).create(atoms)
    ).max()


def rows(n_elements, cells, repeats, with_forces):
    """One line of a table, as text."""
    atoms = alloy(n_elements, cells, periodic=not with_forces)
    like = SOAP.like_dscribe(R_CUT, N_MAX, L_MAX, SIGMA)
    calls = {
        "SOAP": ours(atoms, SOAP(R_CUT, n_max=N_MAX, l_max=L_MAX, sigma=SIGMA)),
        "like": ours(atoms, like),
    }
    for peer in (dscribe, featomic, quippy):
        try:
            calls[peer.__name__] = peer(atoms)
        except ImportError:
            calls[peer.__name__] = None, None
    chosen = {name: pair[with_forces] for name, pair in calls.items()}
    if with_forces and n_elements > 4:  # its Jacobian of ten elements takes many GB
        chosen["dscribe"] = chosen["quippy"] = None
    present = [name for name, call in chosen.items() if call]
    times = medians([chosen[name] for name in present], repeats) / len(atoms) * 1e6
    took = dict(zip(present, times))

    def cell(name):
        if name not in took:
            return "-"
        base = took["like" if name == "dscribe" else "SOAP"]
        return f"{took[name]:.0f} ({took[name] / base:.0f}x)"

    least = floor(atoms, with_forces)
    text = [f"{n_elements}", f"{took['SOAP']:.1f}", f"{took['like']:.1f}"]
    text += [cell(name) for name in ("dscribe", "featomic", "quippy")]
    text += [f"{least:.1f} ({took['SOAP'] / least:.1f}x)"]
    if not with_forces:
        text += [f"{difference(atoms):.0e}" if "dscribe" in took else "-"]
    return "| " + " | ".join(text) + " |"


def main():
    """Print two Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="small and quick")
    smoke = parser.parse_args().smoke
    elements = (1, 2) if smoke else (1, 4, 10)
    for with_forces in (False, True):
        what = "values + forces" if with_forces else "values"
        head = f"| elements | {what}, us/atom | with DScribe's neighbours | DScribe "
        head += "| featomic | quippy | floor |"
        head += "" if with_forces else " difference from DScribe |"
        print(head)
        print("|" + "---|" * (head.count("|") - 1))
        cells = 2 if smoke else 3 if with_forces else 4
        for n in elements:
            print(rows(n, cells, 3 if smoke else 7, with_forces), flush=True)
        print()


if __name__ == "__main__":
    main()
