"""Base of the sine matrix and the Ewald sum matrix."""

from __future__ import annotations

import numpy as np

from skatom._validation import check_random_state
from skatom.featurizers._structure_rows.base import StructureRows, check_crystals
from skatom.featurizers._structure_rows.dscribe import describe
from skatom.featurizers._structure_rows.matrix import (
    MATRIX_CONSTRAINTS,
    check_size,
    matrix_names,
    noise_of,
    sorted_matrix,
    spectra,
)
from skatom.structures import Structures


class CrystalMatrix(StructureRows):
    """Base of matrices of pairs of atoms in a crystal; DScribe computes the entries."""

    _parameter_constraints: dict = MATRIX_CONSTRAINTS

    _dscribe_name: str

    def _options(self) -> dict:
        """Arguments of DScribe's create_single, from the parameters."""
        return {}

    def _learn(self, structures: Structures) -> None:
        self.n_atoms_max_ = self.n_atoms_max or int(structures.n_atoms.max())
        self._permutation, self._width = self.permutation, self.sigma
        self._arguments = self._options()
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))

    def _check(self, structures: Structures) -> None:
        check_crystals(structures, type(self).__name__)
        check_size(structures, self.n_atoms_max_)

    def _names(self) -> list[str]:
        return list(matrix_names(self._permutation, self.n_atoms_max_))

    def _rows(self, structures: Structures) -> np.ndarray:
        n_max = self.n_atoms_max_
        flat = describe(
            self._dscribe_name,
            {"n_atoms_max": n_max, "permutation": "none"},
            structures,
            options=self._arguments,
            n_jobs=self.n_jobs,
        )
        full = np.array(flat).reshape(len(structures), n_max, n_max)
        if self._permutation == "eigenspectrum":
            return spectra(full, structures.n_atoms)[0]
        if self._permutation != "none":
            noise = np.zeros(len(structures.numbers))
            if self._permutation == "random":
                noise = noise_of(structures, self._width, self._seed)
            offsets = structures.offsets
            for matrix, a, b in zip(full, offsets[:-1], offsets[1:]):
                n = b - a
                matrix[:n, :n] = sorted_matrix(matrix[:n, :n], noise[a:b])
        return full.reshape(len(structures), n_max**2)
