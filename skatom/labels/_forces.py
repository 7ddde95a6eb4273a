"""Sign and unit of forces against energies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skatom.labels._near import near_pairs
from skatom.labels._slopes import Slope, slope_of
from skatom.labels._units import CLOSE, explain, rivals
from skatom.labels.report import Finding
from skatom.structures import Labels, Structures

# What the trapezoidal rule is off by at most where every pair errs in one direction, as in
# a scan of one steep bond (docs/explanation/labels.md).
BIAS = 1.5
# How forces are changed where they are stored; {} is what they are multiplied by.
IN_CALC = "for atoms in frames: atoms.calc.results['forces'] *= {}"
IN_ARRAYS = "for atoms in frames: atoms.arrays[{name!r}] *= {}"
GIVEN = "forces = [{} * f for f in forces]"


def judge_forces(
    structures: Structures, y: np.ndarray, labels: Labels, source
) -> tuple[list[Finding], list[str], Slope]:
    """Compare forces with differences of energies between near structures.

    Parameters
    ----------
    structures : Structures
    y : ndarray of shape (n_structures,)
        NaN where unknown.
    labels : Labels
    source : str or sequence
        Where forces were read from.

    Returns
    -------
    findings : list of Finding
    known : list of str
        What was measured.
    slope : Slope
        Of energies over the work of forces; 1 where they agree.
    """
    pairs = near_pairs(structures, labels.forces, labels.has_forces)
    change = y[pairs.second] - y[pairs.first]
    told = np.isfinite(change)
    slope = slope_of(change[told], pairs.work[told], pairs.scale[told], pairs.freedom)
    mend = line_of(structures, source)
    if not slope.known:
        unknown = "Forces against energies: cannot be known from these structures."
        return [], [unknown], slope
    measured = f"Forces against energies: {slope} of near structures."
    if slope.may_be(1.0, BIAS):
        return [], [measured], slope
    change = (change * structures.n_atoms[pairs.first])[told]
    per_atom = slope_of(change, pairs.work[told], pairs.scale[told], pairs.freedom)
    restoring = bool(np.mean(pairs.bend > 0) > 0.5)
    return [_contradiction(slope, per_atom, restoring, mend)], [measured], slope


def _contradiction(slope: Slope, per_atom: Slope, restoring: bool, mend) -> Finding:
    """Name what forces are to be multiplied by, the causes, and what mends them."""
    sign, units = (-1 if slope.value < 0 else 1), explain(slope, "forces")
    factor, causes, lines = float(f"{slope.value:.3g}"), [], []
    if slope.may_be(-1.0, BIAS):
        factor = -1
    else:
        units, by_atoms = rivals(units, slope, per_atom, CLOSE)
        owners, names = {"energies": "y is", "forces": "they are"}, []
        if by_atoms:
            names.append(
                "y holds energies per atom, forces are slopes of total energies"
            )
            lines.append("y = y * [len(atoms) for atoms in frames]")
        for unit in units:
            names.append(f"{owners[unit.of]} in {unit.name}")
            of_y = unit.of == "energies"
            lines.append(f"y = y * {unit.factor:.8g}" if of_y else mend(unit.factor))
        causes += [" or ".join(names)] if names else []
    if sign < 0:
        causes.append(
            "y has the sign of binding energies"
            if restoring
            else "gradients were given"
        )
        lines.append("y = -y" if restoring else mend(-1))
    return Finding(
        "error",
        "forces",
        f"Forces agree with energies when multiplied by {factor:.4g}",
        ", and ".join(causes) or "the two are in different units",
        f"Mend it by {listed(lines or [mend(factor)])}, or train on energies alone with "
        f"forces=None. Seen was a {slope} of near structures.",
    )


def listed(lines: list[str]) -> str:
    """Join lines of code to a part of a sentence."""
    return " or ".join(f"`{line}`" for line in lines)


def line_of(structures: Structures, source) -> Callable:
    """Give the line of code that multiplies forces, for where they are stored."""
    if not isinstance(source, str):
        return GIVEN.format
    in_calc = any("forces" in getattr(a.calc, "results", {}) for a in structures)
    if source == "calc" or (source == "auto" and in_calc):
        return IN_CALC.format
    name = "forces" if source == "auto" else source
    return lambda factor: IN_ARRAYS.format(factor, name=name)
