"""A featurizer in plain NumPy, so that the core is tested without compiled kernels.

One Gaussian of the distance for every width and neighbour species, times (1 - r²/R²)³.
"""

import numpy as np

from skatom.base import AtomFeaturizer


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

    def _feature_names(self):
        return [f"G_{s}_eta{eta:g}" for s in self.species_ for eta in self.etas]

    def _forward(self, block, out):
        i, _, value, _ = self._terms(block)
        np.add.at(out, i, value)

    def _pullback(self, block, g, out):
        i, rows, _, slope = self._terms(block)
        out[rows] = (g[i] * slope).sum(axis=1)[:, None] * block.vectors[rows]

    def _pushforward(self, block, v, out):
        i, rows, _, slope = self._terms(block)
        np.add.at(out, i, slope * (v[rows] * block.vectors[rows]).sum(axis=1)[:, None])

    def _jacobian(self, block, out):
        _, rows, _, slope = self._terms(block)
        out[rows] = block.vectors[rows][:, :, None] * slope[:, None, :]

    def _terms(self, block):
        """Values of every pair, and their slopes by r divided by r."""
        rows = np.arange(block.offsets[block.start], block.offsets[block.stop])
        counts = np.diff(block.offsets[block.start : block.stop + 1])
        i = np.repeat(np.arange(block.start, block.stop), counts)
        keep = (block.centre_channels[i] >= 0) & (block.channels[rows] >= 0)
        i, rows = i[keep], rows[keep]
        r2 = (block.vectors[rows] ** 2).sum(axis=1)[:, None]
        u = np.maximum(1 - r2 / self.r_cut**2, 0.0)
        etas = np.asarray(self.etas)
        gauss = np.exp(-etas * r2)
        value = gauss * u**3
        slope = gauss * (-2 * etas * u**3 - 6 * u**2 / self.r_cut**2)
        n = len(etas)
        here = np.repeat(np.arange(len(self.species_)), n) == block.channels[rows, None]
        tile = (1, len(self.species_))
        return i, rows, np.tile(value, tile) * here, np.tile(slope, tile) * here
