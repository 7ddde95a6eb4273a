"""Energies and forces of SchNetPack's networks, with their weights, for the tests.

Run once with SchNetPack 2.2.0 and torch 2.13.0:

    python tests/models/reference/make_schnetpack.py

writes schnet.npz and painn.npz beside this file: weights under SchNetPack's own names,
and energies and forces, in float64, of the structures of `frames`.
"""

from pathlib import Path

import numpy as np
import schnetpack as spk
import schnetpack.properties as keys
import torch
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list
from schnetpack.atomistic import Atomwise, Forces, PairwiseDistances
from schnetpack.model import NeuralNetworkPotential

R_CUT, N_BASIS, N_FEATURES, N_INTERACTIONS = 5.0, 6, 8, 2


def frames():
    """A molecule out of equilibrium, a skewed crystal, and a slab."""
    slab = bulk("Al", "fcc", a=4.05) * (2, 1, 1)
    slab.pbc = (True, True, False)
    found = [molecule("CH3CH2OH"), bulk("NaCl", "rocksalt", a=5.6), slab]
    for seed, atoms in enumerate(found):
        atoms.rattle(0.1, seed=seed)
    return found


def inputs(atoms):
    i, j, shifts = neighbor_list("ijS", atoms, R_CUT)
    offsets = shifts @ atoms.cell.array
    return {
        keys.Z: torch.tensor(atoms.numbers),
        keys.R: torch.tensor(atoms.positions),
        keys.cell: torch.tensor(atoms.cell.array)[None],
        keys.pbc: torch.tensor(atoms.pbc),
        keys.n_atoms: torch.tensor([len(atoms)]),
        keys.idx_m: torch.zeros(len(atoms), dtype=torch.int64),
        keys.idx_i: torch.tensor(i),
        keys.idx_j: torch.tensor(j),
        keys.offsets: torch.tensor(offsets),
    }


def potential(kind, activation):
    torch.manual_seed(0)
    representation = getattr(spk.representation, kind)(
        n_atom_basis=N_FEATURES,
        n_interactions=N_INTERACTIONS,
        radial_basis=spk.nn.GaussianRBF(n_rbf=N_BASIS, cutoff=R_CUT),
        cutoff_fn=spk.nn.CosineCutoff(R_CUT),
        activation=activation,
    )
    model = NeuralNetworkPotential(
        representation,
        input_modules=[PairwiseDistances()],
        output_modules=[
            Atomwise(n_in=N_FEATURES, output_key=keys.energy),
            Forces(),
        ],
    )
    for name, weight in model.named_parameters():
        if name.endswith("bias"):  # zero at the start
            torch.nn.init.normal_(weight, std=0.2)
    return model.double()


def main():
    settings = {
        "SchNet": spk.nn.activations.shifted_softplus,
        "PaiNN": torch.nn.functional.silu,
    }
    for name, activation in settings.items():
        model = potential(name, activation)
        found = {f"weights/{k}": v.numpy() for k, v in model.state_dict().items()}
        for s, atoms in enumerate(frames()):
            out = model(inputs(atoms))
            found[f"energy/{s}"] = out[keys.energy].detach().numpy()
            found[f"forces/{s}"] = out[keys.forces].detach().numpy()
            found[f"numbers/{s}"] = atoms.numbers
            found[f"positions/{s}"] = atoms.positions
            found[f"cell/{s}"] = atoms.cell.array
            found[f"pbc/{s}"] = atoms.pbc
        np.savez_compressed(Path(__file__).with_name(f"{name.lower()}.npz"), **found)


if __name__ == "__main__":
    main()
