"""A featurizer in plain NumPy, so that the core is tested without compiled kernels.

One Gaussian of the distance for every width and neighbour species, times (1 - r²/R²)³.
"""

import numpy as np

from skatom.base import AtomFeaturizer, columns_by_species


class RadialSums(AtomFeaturizer):
    """Sums over neighbours of exp(-eta r²) (1 - r²/r_cut²)³, one column a species."""

    _parameter_constraints = {
        **AtomFeaturizer._parameter_constraints,
        "etas": ["array-like"],
    }

    def __init__(
        self,
        r_cut=4.0,
        *,
        etas=(0.1, 0.5, 2.0),
        species=None,
        handle_unknown="error",
        n_jobs=None,
    ):
        self.r_cut = r_cut
        self.etas = etas
        self.species = species
        self.handle_unknown = handle_unknown
        self.n_jobs = n_jobs

    def prepare(self):
        self.etas_ = np.array(self.etas, dtype=np.float64)

    def columns(self):
        etas = [(f"eta{eta:g}",) for eta in self.etas_]
        return columns_by_species("G", self.species_, etas)

    def block_values(self, block, out):
        i, _, value, _ = self._pairs(block)
        np.add.at(out, i, value)

    def block_pullback(self, block, g, out):
        i, rows, _, slope = self._pairs(block)
        out[rows] = (g[i] * slope).sum(axis=1)[:, None] * block.vectors[rows]

    def block_pushforward(self, block, v, out):
        i, rows, _, slope = self._pairs(block)
        np.add.at(out, i, slope * (v[rows] * block.vectors[rows]).sum(axis=1)[:, None])

    def block_jacobian(self, block, out):
        _, rows, _, slope = self._pairs(block)
        out[rows] = block.vectors[rows][:, :, None] * slope[:, None, :]

    def _pairs(self, block):
        """Values of every pair, and their slopes by r divided by r."""
        rows = np.arange(block.rows.start, block.rows.stop)
        i = np.repeat(np.arange(block.start, block.stop), block.counts)
        keep = (block.centre_channels[i] >= 0) & (block.channels[rows] >= 0)
        i, rows = i[keep], rows[keep]
        r2 = (block.vectors[rows] ** 2).sum(axis=1)[:, None]
        u = np.maximum(1 - r2 / self.r_cut_**2, 0.0)
        etas = self.etas_
        gauss = np.exp(-etas * r2)
        value = gauss * u**3
        slope = gauss * (-2 * etas * u**3 - 6 * u**2 / self.r_cut_**2)
        n = len(etas)
        here = np.repeat(np.arange(len(self.species_)), n) == block.channels[rows, None]
        tile = (1, len(self.species_))
        return i, rows, np.tile(value, tile) * here, np.tile(slope, tile) * here
