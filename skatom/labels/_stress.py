"""Sign, unit and order of stress against energies of strained cells."""

from __future__ import annotations

import numpy as np
from scipy.stats import f as fisher

from skatom.labels._forces import BIAS, listed
from skatom.labels._slopes import CERTAIN, Slope, slope_of
from skatom.labels._strained import StrainedPairs, strained_pairs
from skatom.labels._units import closer, explain
from skatom.labels.report import Finding
from skatom.structures import Labels, Structures

# In eV/Å³, the 364 GPa in the centre of the Earth: half of a set is hardly beyond it.
EARTH = 364 / 160.2176634
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
USUAL = (3, 4, 5)
# Where ASE's shears are found: in ASE, VASP, LAMMPS, and in other orders.
ORDERS = (USUAL, (4, 5, 3), (5, 4, 3), (3, 5, 4), (4, 3, 5), (5, 3, 4))
NAMED = "stress of ASE: in eV/Å³, positive under tension"


def judge_stress(
    structures: Structures, y: np.ndarray, labels: Labels, *, by_forces: bool
) -> tuple[list[Finding], list[str]]:
    """Compare stress with differences of energies between near structures.

    Parameters
    ----------
    structures : Structures
    y : ndarray of shape (n_structures,)
        NaN where unknown.
    labels : Labels
    by_forces : bool
        Whether forces are right, so that what they explain may be subtracted.

    Returns
    -------
    findings : list of Finding
    known : list of str
        What was measured.
    """
    pairs = strained_pairs(structures, y, labels, by_forces=by_forces)
    order = _order(pairs)
    work = pairs.work(order)
    slope = slope_of(pairs.change, work, pairs.scale, pairs.freedom)
    if not slope.known:
        unknown = "Stress against energies: cannot be known from these structures."
        return _by_size(labels), [unknown]
    findings = []
    if order != USUAL:
        findings.append(_wrong_order(order))
    if not slope.may_be(1.0, BIAS):
        undivided = work / np.maximum(pairs.volume, np.finfo(float).tiny)
        virial = slope_of(pairs.change, undivided, pairs.scale, pairs.freedom)
        findings.append(_contradiction(slope, virial))
    return findings, [f"Stress against energies: {slope} of strained cells."]


def _order(pairs: StrainedPairs) -> tuple:
    """Give the first usual order of shears that no other beats with certainty."""
    left = {}
    for order in ORDERS:
        x, y = pairs.work(order) / pairs.scale, pairs.change / pairs.scale
        left[order] = np.abs(y - x * (x @ y) / max(x @ x, np.finfo(float).tiny))
    freedom = min(pairs.freedom, len(pairs.change)) - 1
    if freedom < 1:
        return USUAL
    # two estimates of one variance differ by so much with certainty; and not by one pair
    beaten = fisher.isf(CERTAIN, freedom, freedom)
    best = min(left.values(), key=lambda r: r @ r)
    for order, r in left.items():
        if r @ r <= beaten * (best @ best) or r.sum() <= 2 * best.sum():
            return order
    return USUAL


def _wrong_order(order: tuple) -> Finding:
    given = list(VOIGT)
    for place, taken in zip(USUAL, order):
        given[taken] = VOIGT[place]
    line = f"stress = stress[:, {[0, 1, 2, *order]}]"
    return Finding(
        "error",
        "stress",
        f"Stress agrees with energies in the order {' '.join(given)}",
        f"it is not in the order {' '.join(VOIGT)}, as codes differ in that of shears",
        f"Mend it by {listed([line])}, or train without it with stress=None.",
    )


def _contradiction(slope: Slope, virial: Slope) -> Finding:
    """Name what stress is to be multiplied by, the causes, and what mends it."""
    sign = -1 if slope.value < 0 else 1
    factor, causes = float(f"{slope.value:.3g}"), []
    line = f"stress = {factor:.3g} * stress"
    units = explain(slope, "stress")
    if slope.may_be(-1.0, BIAS):
        factor, line = -1, "stress = -stress"
    elif virial.may_be(sign, BIAS) and not closer(units, slope, virial):
        causes.append("it is a virial in eV, not divided by the volume")
        volumes = "[[atoms.cell.volume] for atoms in frames]"
        line = f"stress = {'-' if sign < 0 else ''}stress / {volumes}"
    elif units:
        unit = units[0]
        causes.append(f"{'it' if unit.of == 'stress' else 'y'} is in {unit.name}")
        in_ev = f"stress = {sign * unit.factor:.8g} * stress"
        line = in_ev if unit.of == "stress" else f"y = {unit.factor:.8g} * y"
    if sign < 0:
        causes.append("it is positive under compression, as pressure is")
    return Finding(
        "error",
        "stress",
        f"Stress agrees with energies when multiplied by {factor:.4g}",
        ", and ".join(causes) or f"it is not the {NAMED}",
        f"Mend it by {listed([line])}, or train without it with stress=None. Seen was a "
        f"{slope} of strained cells.",
    )


def _by_size(labels: Labels) -> list[Finding]:
    """Notice stress that no matter is under."""
    sizes = np.abs(labels.stress[labels.has_stress]).max(axis=1, initial=0.0)
    if not len(sizes) or np.median(sizes) < EARTH:
        return []
    return [
        Finding(
            "warning",
            "stress",
            f"Half of the stress is beyond {np.median(sizes):.3g} eV/Å³, more than in the "
            "centre of the Earth",
            "it may be in kbar or GPa",
            f"In GPa, mend it by {listed(['stress = stress / 160.21766'])}; in kbar, by "
            f"{listed(['stress = stress / 1602.1766'])}.",
        )
    ]
