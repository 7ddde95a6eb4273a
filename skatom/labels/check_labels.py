"""Judgement of whether energies, forces and stress can belong together."""

from __future__ import annotations

from collections.abc import Sequence

from ase import Atoms

from skatom._validation import check_targets
from skatom.labels._judge import judge
from skatom.labels.report import LabelReport
from skatom.structures import check_structures, read_energies, read_labels


def check_labels(
    frames: Sequence[Atoms],
    y=None,
    *,
    forces: str | Sequence | None = "auto",
    stress: str | Sequence | None = "auto",
) -> LabelReport:
    """Judge whether energies, forces and stress of structures contradict each other.

    Forces are compared with the differences of energies between near structures, stress
    with those between strained cells, y with energies that are stored. Every fit on
    structures does the same, refuses what is an error here and warns of the rest; only
    structures without results among others that have them are no matter for a fit, which
    may train on energies alone of some.

    Parameters
    ----------
    frames : sequence of ase.Atoms
    y : array-like of shape (n_structures,), optional
        Total energies in eV, as given to fit; those stored with the structures if None.
    forces, stress : str, sequence of arrays, or None, default="auto"
        Where these labels are, as in :func:`~skatom.structures.read_labels`.

    Returns
    -------
    report : LabelReport
        Print it. ``report.errors`` are certain contradictions, ``report.warnings`` doubts,
        ``report.known`` what was measured.

    Raises
    ------
    ValueError
        If labels cannot be read: not finite, of a wrong shape, or missing where a place
        is given.

    See Also
    --------
    skatom.structures.read_labels : Reads forces and stress.
    skatom.structures.read_energies : Reads energies.

    Notes
    -----
    See :doc:`/explanation/labels` for how certainty is reached.

    Examples
    --------
    >>> from skatom.datasets import load_dataset
    >>> from skatom.labels import check_labels
    >>> frames = load_dataset("malonaldehyde", "train").frames[:60]
    >>> check_labels(frames).findings
    ()
    >>> gradients = [-atoms.calc.results["forces"] for atoms in frames]
    >>> print(check_labels(frames, forces=gradients).errors[0].cause)
    gradients were given
    """
    structures = check_structures(frames)
    if y is None:
        energies = read_energies(structures, required=False)
    else:
        energies = check_targets(y, len(structures))
    labels = read_labels(structures, forces=forces, stress=stress)
    return judge(structures, energies, labels, forces, stress, look_for_lost=True)
