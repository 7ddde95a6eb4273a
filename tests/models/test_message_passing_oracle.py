"""SchNet and PaiNN against SchNetPack 2.2: same weights, same energies and forces.

The stored numbers were made by reference/make_schnetpack.py.
"""

# ruff: noqa: E402 - skipped as a whole where torch is missing
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch")

from skatom._training.readouts import sum_atoms
from skatom.models._message_passing.graphs import GraphBatch
from skatom.models._message_passing.painn import PaiNN
from skatom.models._message_passing.schnet import SchNet
from skatom.neighbors import neighbor_pairs
from skatom.structures import check_structures

R_CUT = 5.0
COMMON = {
    "n_features": 8,
    "n_interactions": 2,
    "n_basis": 6,
    "r_cut": R_CUT,
    "radial_basis": "gaussian",
    "cutoff": "cosine",
    "head": "atomwise",
    "n_head_layers": 2,
    "numbers": [1, 6, 8, 11, 13, 17],
    "n_outputs": 1,
    "seed": 0,
}
NETWORKS = {
    "schnet": lambda: SchNet(n_filters=8, activation="shifted_softplus", **COMMON),
    "painn": lambda: PaiNN(activation="silu", **COMMON),
}
# SchNetPack's names on the left, ours on the right
RENAMED = [
    ("representation.", ""),
    ("filter_network.1", "filters.2"),
    ("filter_network", "filters"),
    ("f2out.1", "outward.2"),
    ("f2out", "outward"),
    ("in2f", "inward"),
    ("filter_net", "filters"),
    ("interatomic_context_net.1", "context.2"),
    ("interatomic_context_net", "context"),
    ("intraatomic_context_net.1", "context.2"),
    ("intraatomic_context_net", "context"),
    ("mu_channel_mix", "mix"),
    ("mixing", "updates"),
    ("output_modules.0.outnet.1", "head.last"),
    ("output_modules.0.outnet", "head.hidden"),
]


def load(name):
    stored = np.load(Path(__file__).parent / "reference" / f"{name}.npz")
    network = NETWORKS[name]().double()
    state = network.state_dict()
    for key in stored:
        if not key.startswith("weights/") or "basis." in key or "cutoff_fn" in key:
            continue
        ours = key.removeprefix("weights/")
        for theirs, new in RENAMED:
            ours = ours.replace(theirs, new)
        if name == "painn":
            ours = ours.replace("interactions", "messages")
        weights = torch.tensor(stored[key])
        if ours == "embedding.weight":
            state[ours][: len(weights)] = weights
        else:
            assert state[ours].shape == weights.shape, ours
            state[ours] = weights
    network.load_state_dict(state)
    return network, stored


def structure(stored, s):
    return Atoms(
        numbers=stored[f"numbers/{s}"],
        positions=stored[f"positions/{s}"],
        cell=stored[f"cell/{s}"],
        pbc=stored[f"pbc/{s}"],
    )


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("alone", [True, False])
def test_energies_and_forces_equal_those_of_schnetpack(name, alone):
    network, stored = load(name)
    frames = [structure(stored, s) for s in range(3)]
    groups = [[s] for s in range(3)] if alone else [[0, 1, 2]]
    for group in groups:
        X = check_structures([frames[s] for s in group])
        pairs = neighbor_pairs(X, R_CUT)
        batch = GraphBatch.of(pairs, X.offsets, torch.float64)
        batch.leaf.requires_grad_(True)
        energies = sum_atoms(batch, network(batch))[:, 0]
        gradient = torch.autograd.grad(energies.sum(), batch.leaf)[0]
        forces = np.split(batch.forces(gradient)[0].numpy(), X.offsets[1:-1])
        for s, energy, force in zip(group, energies.detach().numpy(), forces):
            assert_allclose(energy, stored[f"energy/{s}"], rtol=0, atol=1e-5)
            assert_allclose(force, stored[f"forces/{s}"], rtol=0, atol=1e-5)
            assert np.abs(stored[f"forces/{s}"]).max() > 1e-2
