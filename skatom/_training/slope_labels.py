"""Forces and stress that networks are trained on, as far as they have weight."""

from __future__ import annotations

from dataclasses import replace

from skatom._training.atom_rows import AtomRows
from skatom._training.weights import largest_weight
from skatom.base import Target
from skatom.base._targets import as_targets
from skatom.labels._judge import judge_fit
from skatom.structures import Labels


def slope_labels(
    estimator, atoms: AtomRows, y, forces, stress, target: Target
) -> Labels | None:
    """Read what there is to train on besides energies, and judge it.

    Parameters
    ----------
    estimator : Front
        Reads labels, and has weights of losses.
    atoms : AtomRows
    y : ndarray of shape (n_structures, n_columns)
    forces, stress : sequence, str or None
        As given to fit.
    target : Target
        Of y.

    Returns
    -------
    labels : Labels or None
        In the unit of y; None where there are none.

    Raises
    ------
    ValueError
        If there is nothing to train on, or labels contradict each other.
    """
    if forces is not None or stress is not None:
        target.refuse_slopes(estimator, "forces and stress to train on")
    of_forces = largest_weight(estimator.force_weight) > 0
    of_stress = largest_weight(estimator.stress_weight) > 0
    labels, unit = None, 1.0
    if target.is_energy:
        labels, unit = (
            estimator._read_labels(atoms, forces, stress),
            target.factor_to("eV"),
        )
        if labels is not None:
            labels = replace(
                labels,
                has_forces=labels.has_forces & of_forces,
                has_stress=labels.has_stress & of_stress,
            )
        places = (
            None if not weighs else stored if given is None else given
            for weighs, stored, given in (
                (of_forces, estimator.forces, forces),
                (of_stress, estimator.stress, stress),
            )
        )
        judge_fit(atoms.structures, unit * y[:, 0], labels, *places)
    if labels is not None and (labels.has_forces.any() or labels.has_stress.any()):
        return replace(labels, forces=labels.forces / unit, stress=labels.stress / unit)
    alone = len(as_targets(estimator.target)) == 1
    if alone and largest_weight(estimator.energy_weight) == 0:
        raise ValueError(
            "energy_weight is 0 and there are no forces or stress to train on: raise "
            "energy_weight, or give structures with forces and a force_weight."
        )
    return None
