"""
Add a featurizer of your own
============================

A featurizer is one class: what its columns are, their values, and three derivatives in
NumPy. Neighbours, species, threads, forces, stress and everything that scikit-learn does
come from the base class.
"""

# %%
# The features here are sums over the neighbours of each species of spherical Bessel
# functions, sin(n pi r/r_cut)/r (J. Gasteiger, J. Groß and S. Günnemann, ICLR 2020,
# arXiv:2003.03123, eq. 7), times a cutoff that leaves forces smooth.
#
# ``prepare`` turns parameters into fitted attributes, and is the only place that reads
# parameters. ``columns`` is the table of columns, from which names are written and by
# which elements can be coupled. The four functions take a block of centres with their
# pairs and write to rows of their own, so they run in threads as they are.
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms

from skatom.base import AtomFeaturizer, columns_by_species


class BesselSums(AtomFeaturizer):
    """Sums over neighbours of sin(n pi r/r_cut)/r, n = 1, 2, .., n_max."""

    _parameter_constraints = {
        **AtomFeaturizer._parameter_constraints,
        "n_max": [int],
    }

    def __init__(
        self, r_cut=5.0, *, n_max=8, species=None, handle_unknown="error", n_jobs=None
    ):
        self.r_cut = r_cut
        self.n_max = n_max
        self.species = species
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs

    def prepare(self):
        self.frequencies_ = np.arange(1, self.n_max + 1) * np.pi / self.r_cut_

    def columns(self):
        orders = [(f"n{n}",) for n in range(1, len(self.frequencies_) + 1)]
        return columns_by_species("Bessel", self.species_, orders)

    def block_values(self, block, out):
        i, p, columns = self._places(block)
        np.add.at(out, (i[:, None], columns), self._functions(block.vectors[p])[0])

    def block_pullback(self, block, g, out):
        i, p, columns = self._places(block)
        directions, slopes = self._functions(block.vectors[p])[1:]
        out[p] = (g[i[:, None], columns] * slopes).sum(axis=1)[:, None] * directions

    def block_pushforward(self, block, v, out):
        i, p, columns = self._places(block)
        directions, slopes = self._functions(block.vectors[p])[1:]
        along = (v[p] * directions).sum(axis=1)
        np.add.at(out, (i[:, None], columns), slopes * along[:, None])

    def block_jacobian(self, block, out):
        _, p, columns = self._places(block)
        directions, slopes = self._functions(block.vectors[p])[1:]
        for axis in range(3):
            out[p[:, None], axis, columns] = slopes * directions[:, axis, None]

    def _places(self, block):
        """Centres and numbers of the pairs within r_cut, and the columns they count in."""
        p = np.arange(block.rows.start, block.rows.stop)
        i = np.repeat(np.arange(block.start, block.stop), block.counts)
        inside = np.linalg.norm(block.vectors[p], axis=1) < self.r_cut_
        i, p = i[inside], p[inside]
        n = len(self.frequencies_)
        return i, p, n * block.channels[p, None] + np.arange(n)

    def _functions(self, vectors):
        """Values of all functions, directions of the pairs, and slopes by r."""
        r = np.linalg.norm(vectors, axis=1)[:, None]
        u, k = 1 - (r / self.r_cut_) ** 2, self.frequencies_
        cut, cut_slope = u**3, -6 * r / self.r_cut_**2 * u**2
        wave = np.sin(k * r) / r
        wave_slope = (k * np.cos(k * r) - wave) / r
        return wave * cut, vectors / r, wave_slope * cut + wave * cut_slope


# %%
# The checks that skatom's own featurizers pass: invariance to rotation, permutation,
# translation and the choice of the cell, derivatives against central differences,
# smoothness at the cutoff, and the contract of scikit-learn.
from skatom.testing import check_featurizer

report = check_featurizer(BesselSums(r_cut=4.0))
print(report)
assert len(report.passed) > 30

# %%
# One pair of hydrogen atoms shows the functions.
distances = np.linspace(0.4, 5.0, 200)
pairs = [Atoms("H2", [[0, 0, 0], [0, 0, d]]) for d in distances]
bessel = BesselSums(n_max=4).fit(pairs)
values = bessel.transform(pairs).values[::2]
for column, name in zip(values.T, bessel.get_feature_names_out()):
    plt.plot(distances, column, label=name)
plt.xlabel("distance (Å)")
plt.ylabel("feature (1/Å)")
plt.legend()
plt.show()

# %%
# With any model, it gives energies and forces of frames that were not seen in fit.
from sklearn.metrics import r2_score

from skatom.datasets import load_dataset
from skatom.metrics import neg_force_mae
from skatom.models import AtomicKernelRidge
from skatom.potential import make_potential

train, test = (load_dataset("malonaldehyde", part) for part in ("train", "test"))
model = make_potential(BesselSums(), AtomicKernelRidge(alpha=1e-6))
model.fit(train.frames[:40], train.energies[:40])
frames, energies = test.frames[:40], test.energies[:40]
error = -neg_force_mae(model, frames, energies)
spread = np.mean([np.abs(atoms.get_forces()).mean() for atoms in frames])
print(f"R² of energies: {r2_score(energies, model.predict(frames)):.3f}")
print(f"error of forces: {error:.3f} eV/Å, mean size {spread:.3f} eV/Å")
assert error < 0.2 * spread

# %%
# As the table of columns names the species, elements can be coupled to pseudo-elements.
from skatom.preprocessing import AlchemicalCompression

features = BesselSums(n_max=2).fit_transform(train.frames[:2])
compressed = AlchemicalCompression(n_components=2).fit_transform(features)
print(features.feature_names)
print(compressed.feature_names)
assert compressed.feature_names[-1] == "Bessel_J1_n2"
