"""Scorers of energies, forces and stress, for cross-validation and search.

Each is a function ``scorer(estimator, X, y)`` to be given as ``scoring``, alone or several
in a dict. Errors come back negative, so that greater is better. Energies are compared with
y; forces and stress with the labels that travel with X, and structures without a label do
not count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from skatom._validation import check_targets
from skatom.base import target_of
from skatom.potential import predict_forces, predict_stress
from skatom.structures import Structures, check_structures, read_labels


def neg_energy_mae(estimator, X: Sequence[Atoms], y) -> float:
    """Negative mean absolute error of the energy per atom, in eV.

    Parameters
    ----------
    estimator : fitted estimator of structures
    X : sequence of ase.Atoms
    y : array-like of shape (n_structures,)
        Total energies in eV.

    Returns
    -------
    score : float

    See Also
    --------
    neg_force_mae : The same for forces.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.metrics import neg_energy_mae
    >>> from skatom.models import CompositionBaseline
    >>> frames = [molecule("H2"), molecule("H2O"), molecule("O2")]
    >>> model = CompositionBaseline().fit(frames, [-6.0, -14.0, -16.0])
    >>> round(neg_energy_mae(model, frames, [-6.0, -14.3, -16.0]), 4)
    -0.0333
    """
    return -float(np.mean(np.abs(energy_errors(estimator, X, y))))


def neg_energy_rmse(estimator, X: Sequence[Atoms], y) -> float:
    """Negative root mean square error of the energy per atom, in eV.

    Parameters
    ----------
    estimator : fitted estimator of structures
    X : sequence of ase.Atoms
    y : array-like of shape (n_structures,)
        Total energies in eV.

    Returns
    -------
    score : float
    """
    return -_rms(energy_errors(estimator, X, y))


def neg_force_mae(estimator, X: Sequence[Atoms], y=None) -> float:
    """Negative mean absolute error of the force components, in eV/Å.

    Parameters
    ----------
    estimator : fitted estimator of structures
        Any that :func:`skatom.potential.predict_forces` takes.
    X : sequence of ase.Atoms
        Structures with forces in their calculators or in ``arrays["forces"]``.
    y : ignored

    Returns
    -------
    score : float

    Raises
    ------
    ValueError
        If no structure has forces.

    See Also
    --------
    skatom.potential.predict_forces : The forces that are compared.

    Examples
    --------
    >>> import numpy as np
    >>> from ase.build import molecule
    >>> from skatom.metrics import neg_force_mae
    >>> from skatom.models import CompositionBaseline
    >>> water = molecule("H2O")
    >>> water.arrays["forces"] = np.full((3, 3), 0.5)
    >>> model = CompositionBaseline().fit([water], [-14.0])
    >>> neg_force_mae(model, [water])
    -0.5
    """
    return -float(np.mean(np.abs(force_errors(estimator, X))))


def neg_force_rmse(estimator, X: Sequence[Atoms], y=None) -> float:
    """Negative root mean square error of the force components, in eV/Å.

    Parameters
    ----------
    estimator : fitted estimator of structures
    X : sequence of ase.Atoms
        As in :func:`neg_force_mae`.
    y : ignored

    Returns
    -------
    score : float
    """
    return -_rms(force_errors(estimator, X))


def neg_stress_mae(estimator, X: Sequence[Atoms], y=None) -> float:
    """Negative mean absolute error of the stress components, in eV/Å³.

    Parameters
    ----------
    estimator : fitted estimator of structures
    X : sequence of ase.Atoms
        Structures with stress in their calculators or in ``info["stress"]``.
    y : ignored

    Returns
    -------
    score : float

    Raises
    ------
    ValueError
        If no structure has a stress.
    """
    return -float(np.mean(np.abs(stress_errors(estimator, X))))


def neg_stress_rmse(estimator, X: Sequence[Atoms], y=None) -> float:
    """Negative root mean square error of the stress components, in eV/Å³.

    Parameters
    ----------
    estimator : fitted estimator of structures
    X : sequence of ase.Atoms
        As in :func:`neg_stress_mae`.
    y : ignored

    Returns
    -------
    score : float
    """
    return -_rms(stress_errors(estimator, X))


def energy_errors(estimator, X: Sequence[Atoms], y) -> np.ndarray:
    """Predicted minus given energies over the number of atoms, in eV.

    Parameters
    ----------
    estimator : fitted estimator of structures
    X : sequence of ase.Atoms
    y : array-like of shape (n_structures,)
        Total energies in the unit of the target of the estimator, eV unless it says so.

    Returns
    -------
    errors : ndarray of shape (n_structures,)

    Raises
    ------
    ValueError
        If the estimator predicts something else.
    """
    target = target_of(estimator)
    if not target.is_energy:
        raise ValueError(
            f"{type(estimator).__name__} predicts {target.words}, which is not compared "
            "by energies per atom: take a scorer of scikit-learn, such as "
            "scoring='neg_mean_absolute_error', whose unit is that of y."
        )
    structures = check_structures(X)
    y = check_targets(y, len(structures))
    errors = (estimator.predict(structures) - y) / structures.n_atoms
    return target.factor_to("eV") * errors


def force_errors(estimator, X: Sequence[Atoms]) -> np.ndarray:
    """Predicted minus given forces of all structures that have them, in eV/Å.

    Parameters
    ----------
    estimator : fitted estimator of structures
    X : sequence of ase.Atoms

    Returns
    -------
    errors : ndarray of shape (n_labelled_atoms, 3)

    Raises
    ------
    ValueError
        If no structure has forces.
    """
    labelled, forces = labelled_forces(X)
    return np.concatenate(predict_forces(estimator, labelled)) - forces


def stress_errors(estimator, X: Sequence[Atoms]) -> np.ndarray:
    """Predicted minus given stress of all structures that have one, in eV/Å³.

    Parameters
    ----------
    estimator : fitted estimator of structures
    X : sequence of ase.Atoms

    Returns
    -------
    errors : ndarray of shape (n_labelled, 6)
        Voigt order.

    Raises
    ------
    ValueError
        If no structure has a stress.
    """
    structures = check_structures(X)
    labels = read_labels(structures, forces=None, stress="auto")
    _refuse_none(labels.has_stress, "stress")
    found = predict_stress(estimator, structures[labels.has_stress])
    return found - labels.stress[labels.has_stress]


def labelled_forces(X: Sequence[Atoms]) -> tuple[Structures, np.ndarray]:
    """Give the structures that have forces, and these for all their atoms."""
    structures = check_structures(X)
    labels = read_labels(structures)
    _refuse_none(labels.has_forces, "forces")
    of_labelled = np.repeat(labels.has_forces, structures.n_atoms)
    return structures[labels.has_forces], labels.forces[of_labelled]


def _refuse_none(has_label: np.ndarray, what: str) -> None:
    if not has_label.any():
        raise ValueError(
            f"None of the {len(has_label)} structures has a {what} label to compare with: "
            "attach a SinglePointCalculator, or drop this scorer."
        )


def _rms(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))
