"""Intervals of forces: components, vectors, elements, whole structures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from skatom._validation import check_is_fitted
from skatom.structures import Structures, check_structures
from skatom.uncertainty._conformal.forces import forces_with_sizes


class ForceIntervals:
    """Mixin of an IntervalRegressor whose ``force_calibration_`` may be there or None."""

    def predict_forces_interval(
        self,
        X,
        confidence_level=None,
        *,
        simultaneous: bool = False,
        by_element: bool = False,
    ):
        """Predict forces with intervals of their components.

        Parameters
        ----------
        X : sequence of ase.Atoms
        confidence_level : float or sequence of float, optional
            One level or k levels, by default that of the constructor.
        simultaneous : bool, default=False
            Whether all components of a structure (by element: all those of its atoms of
            an element) shall be covered at once, instead of one drawn at random. See the
            notes of the class.
        by_element : bool, default=False
            Whether each element is calibrated by itself.

        Returns
        -------
        forces : list of ndarray of shape (n_atoms, 3)
            In eV/Å.
        intervals : list of ndarray of shape (n_atoms, 3, 2) or (n_atoms, 3, 2, k)
            Lower and upper end of every component in eV/Å.

        Raises
        ------
        ValueError
            If fit found no forces to calibrate on.
        """
        X, forces, widths, single = self._widths(
            "component", X, confidence_level, simultaneous, by_element
        )
        flat = np.concatenate(forces)[..., None] if forces else np.zeros((0, 3, 1))
        intervals = np.stack([flat - widths, flat + widths], axis=2)
        intervals = intervals[..., 0] if single else intervals
        return forces, _by_structure(intervals, X)

    def predict_forces_radius(
        self,
        X,
        confidence_level=None,
        *,
        simultaneous: bool = False,
        by_element: bool = False,
    ):
        """Predict forces with the radius of a ball that holds each force vector.

        Parameters
        ----------
        X : sequence of ase.Atoms
        confidence_level : float or sequence of float, optional
            One level or k levels, by default that of the constructor.
        simultaneous, by_element : bool, default=False
            As in `predict_forces_interval`, with atoms in place of components.

        Returns
        -------
        forces : list of ndarray of shape (n_atoms, 3)
            In eV/Å.
        radii : list of ndarray of shape (n_atoms,) or (n_atoms, k)
            Bound of ``norm(forces - reference)`` of every atom in eV/Å.

        Raises
        ------
        ValueError
            If fit found no forces to calibrate on.
        """
        X, forces, radii, single = self._widths(
            "norm", X, confidence_level, simultaneous, by_element
        )
        radii = np.broadcast_to(radii, (X.offsets[-1], radii.shape[1]))
        return forces, _by_structure(radii[..., 0] if single else radii, X)

    def forces_interval_around(
        self,
        forces,
        confidence_level=None,
        *,
        simultaneous: bool = False,
        by_element: bool = False,
        atoms: Atoms | None = None,
    ) -> NDArray[np.float64]:
        """Give the intervals of forces of a structure that have been predicted already.

        Parameters
        ----------
        forces : array-like of shape (n_atoms, 3)
            Forces predicted by ``estimator_``, in eV/Å.
        confidence_level : float or sequence of float, optional
        simultaneous, by_element : bool, default=False
            As in `predict_forces_interval`.
        atoms : ase.Atoms, optional
            The structure; needed by element, with groups, and where widths follow
            standard deviations.

        Returns
        -------
        intervals : ndarray of shape (n_atoms, 3, 2) or (n_atoms, 3, 2, k)
        """
        check_is_fitted(self)
        calibration = self._check_forces()
        levels, single = self._levels(confidence_level)
        X = None if atoms is None else check_structures([atoms])
        needed = by_element or calibration.groups or calibration.floors
        if X is None and needed:
            raise ValueError(
                "The widths of these force intervals depend on the structure (elements, "
                "groups or standard deviations): pass atoms."
            )
        std = None
        if calibration.floors is not None:
            found = forces_with_sizes(calibration.source, self.estimator_, X)
            std = np.concatenate(found[1])
        widths = calibration.widths(
            "component", X, std, levels, by_element, simultaneous
        )
        flat = np.asarray(forces, dtype=np.float64)[..., None]
        intervals = np.stack([flat - widths, flat + widths], axis=2)
        return intervals[..., 0] if single else intervals

    def _widths(self, what, X, confidence_level, simultaneous, by_element):
        check_is_fitted(self)
        calibration = self._check_forces()
        levels, single = self._levels(confidence_level)
        X = check_structures(X, allow_empty=True)
        source = None if calibration.floors is None else calibration.source
        forces, std = forces_with_sizes(source, self.estimator_, X)
        if std is not None:
            std = np.concatenate(std) if std else np.zeros((0, 3))
        widths = calibration.widths(what, X, std, levels, by_element, simultaneous)
        return X, forces, widths, single

    def _check_forces(self):
        if self.force_calibration_ is None:
            raise ValueError(
                "There are no calibrated forces: fit found no force labels among the "
                f"calibration structures (forces={self.forces!r}), or the estimator "
                "cannot predict forces. Fit on structures with forces, and set "
                "forces='calc' or the name of their array to see what is missing."
            )
        return self.force_calibration_


def _by_structure(values: np.ndarray, X: Structures) -> Sequence[np.ndarray]:
    return np.split(values, X.offsets[1:-1]) if len(X) else []
