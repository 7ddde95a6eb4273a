"""Base of many-body tensors: grids, names, normalisation, derivatives."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from ase.data import atomic_numbers

from skatom._validation import Integral, Interval, Real, check_is_fitted
from skatom.base import Column
from skatom.featurizers._structure_rows.base import (
    StructureRows,
    check_species,
    learned_species,
)
from skatom.featurizers._structure_rows.dscribe import describe
from skatom.structures import Structures, check_structures

# Number of atoms that each geometry function looks at.
ORDER = {
    "atomic_number": 1,
    "distance": 2,
    "inverse_distance": 2,
    "angle": 3,
    "cosine": 3,
}
# In 1/Å: no two nuclei come closer than 0.7 Å, but for hydrogen under pressure.
LARGEST_INVERSE_DISTANCE = 1.4

GRID_CONSTRAINTS: dict = {
    "r_cut": [Interval(Real, 0, None, closed="neither")],
    "n_grid": [Interval(Integral, 2, None, closed="left")],
    "sigma": [Interval(Real, 0, None, closed="neither"), None],
    "species": ["array-like", None],
    "n_jobs": [Integral, None],
}


class ManyBodyTensor(StructureRows):
    """Base of smeared histograms of pairs and triples; DScribe computes them.

    A subclass defines `_settings` and `_grid`, which turn its parameters into arguments,
    and `_normalization`.
    """

    @abstractmethod
    def _settings(self) -> dict:
        """Arguments of DScribe's MBTR."""

    @abstractmethod
    def _grid(self) -> dict:
        """Grid that the histograms stand on."""

    def _normalization(self) -> str:
        """Divide rows by one of "none", "l2" and "n_atoms"."""
        return "none"

    def _learn(self, structures: Structures) -> None:
        self.species_ = learned_species(structures, self.species)
        self.grid_ = self._grid()
        self._arguments = self._settings()
        self._divisor = self._normalization()

    def _check(self, structures: Structures) -> None:
        check_species(structures, self.species_, type(self).__name__)

    def _names(self) -> list[str]:
        return tensor_names(self._geometry, self.species_, self.grid_)

    def _rows(self, structures: Structures) -> np.ndarray:
        return self._normalized(self._raw(structures), structures)[0]

    def _raw(self, structures: Structures) -> np.ndarray:
        rows = describe("MBTR", self._arguments, structures, n_jobs=self.n_jobs)
        return np.array(rows).reshape(len(structures), self.n_features_out_)

    def _normalized(self, raw, structures) -> tuple[np.ndarray, np.ndarray]:
        """Divide each row, and give the divisors (n_structures, 1)."""
        divisors = np.ones((len(raw), 1))
        if self._divisor == "n_atoms":
            divisors = structures.n_atoms[:, None].astype(np.float64)
        elif self._divisor == "l2":
            divisors = np.linalg.norm(raw, axis=1, keepdims=True)
            divisors[divisors == 0] = 1.0  # nothing within reach: the row stays zero
        return raw / divisors, divisors

    def pullback_structures(self, X, g: np.ndarray) -> np.ndarray:
        """Carry a gradient by the columns back to the positions of the atoms.

        Parameters
        ----------
        X : sequence of ase.Atoms
        g : ndarray of shape (n_structures, ``n_features_out_``)
            dE/dfeatures.

        Returns
        -------
        gradient : ndarray of shape (n_atoms_total, 3)
            dE/dR, in eV/Å when E is in eV.

        Raises
        ------
        NoDerivativeError
            For angles in degrees, which have no derivative where atoms are in line.
        """
        check_is_fitted(self, "n_features_out_")
        self._check_differentiable()
        structures = check_structures(X)
        self._check(structures)
        rows, divisors = self._normalized(self._raw(structures), structures)
        if self._divisor == "l2":
            g = g - rows * np.sum(rows * g, axis=1, keepdims=True)
        slopes = describe(
            "MBTR",
            self._arguments,
            structures,
            method="derivatives",
            options={"method": "analytical", "return_descriptor": False},
            n_jobs=self.n_jobs,
        )
        return np.concatenate([d @ row for d, row in zip(slopes, g / divisors)])

    def _check_differentiable(self) -> None:
        from skatom.features import NoDerivativeError

        if self._geometry == "angle":
            raise NoDerivativeError(
                f"{type(self).__name__} has no derivatives of angles in degrees: use "
                "the geometry 'cosine' of MBTR."
            )

    @property
    def _geometry(self) -> str:
        """Name of the geometry function in use, as DScribe has it."""
        return self._arguments["geometry"]["function"]


def default_range(geometry: str, r_cut: float, species: list[str]) -> tuple:
    """Give the ends of a grid that holds every value of a geometry function."""
    if geometry == "atomic_number":
        numbers = [atomic_numbers[s] for s in species]
        return (min(numbers) - 1.0, max(numbers) + 1.0)
    return {
        "distance": (0.0, r_cut),
        "inverse_distance": (0.0, LARGEST_INVERSE_DISTANCE),
        "angle": (0.0, 180.0),
        "cosine": (-1.0, 1.0),
    }[geometry]


def grid_of(ends: tuple, n_grid: int, sigma: float | None) -> dict:
    """Grid as DScribe takes it; sigma is twice the spacing by default."""
    low, high = (float(end) for end in ends)
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            f"grid is ({low:g}, {high:g}); give its two ends, the smaller one first."
        )
    if sigma is None:
        sigma = 2.0 * (high - low) / (n_grid - 1)
    return {"min": low, "max": high, "n": int(n_grid), "sigma": float(sigma)}


def tensor_names(geometry: str, species: list[str], grid: dict) -> list[str]:
    """Names of the columns in DScribe's order, such as ``angle_H-O-H_104.5``."""
    n = len(species)
    upper = [(i, k) for i in range(n) for k in range(i, n)]
    combinations = {
        1: [(i,) for i in range(n)],
        2: upper,
        3: [(i, j, k) for j in range(n) for i, k in upper],
    }[ORDER[geometry]]
    columns = grid_columns(geometry, combinations, species, grid)
    return [column.name for column in columns]


def grid_columns(
    geometry: str, combinations, species: list[str], grid: dict
) -> list[Column]:
    """Give a column for each combination of species and point of the grid."""
    points = np.linspace(grid["min"], grid["max"], grid["n"])
    digits = max(0, 2 - int(np.floor(np.log10(points[1] - points[0]))))
    return [
        Column(geometry, tuple(species[i] for i in combination), (f"{x:.{digits}f}",))
        for combination in combinations
        for x in points
    ]


def exp_weighting(order: int, r_cut: float, threshold: float) -> dict:
    """Exponential that falls to the threshold where atoms are r_cut apart.

    Triples are weighted by their perimeter, which reaches 2 r_cut.
    """
    scale = -np.log(threshold) / (r_cut if order == 2 else 2 * r_cut)
    return {"function": "exp", "scale": float(scale), "threshold": float(threshold)}
