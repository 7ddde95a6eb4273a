"""Sign, unit and order of stress against energies of strained cells."""

from __future__ import annotations

import numpy as np
from scipy.stats import f as fisher

from skatom.labels._first_fit import FirstFit
from skatom.labels._forces import BIAS, listed
from skatom.labels._slopes import CERTAIN, Slope, slope_of
from skatom.labels._strained import StrainedPairs, strained_pairs
from skatom.labels._units import explain, rivals
from skatom.labels.report import Finding
from skatom.structures import Labels, Structures

# In eV/Å³, the 364 GPa in the centre of the Earth: half of a set is hardly beyond it.
EARTH = 364 / 160.2176634
# What shears of pairs are off by at most.
FIT_BIAS = 3.0
VOIGT = ("xx", "yy", "zz", "yz", "xz", "xy")
USUAL = (3, 4, 5)
# Where ASE's shears are found: in ASE, VASP, LAMMPS, and in other orders.
ORDERS = (USUAL, (4, 5, 3), (5, 4, 3), (3, 5, 4), (4, 3, 5), (5, 3, 4))
NAMED = "stress of ASE: in eV/Å³, positive under tension"


def judge_stress(
    structures: Structures,
    y: np.ndarray,
    labels: Labels,
    fit: FirstFit | None,
    *,
    by_forces: bool,
) -> tuple[list[Finding], list[str]]:
    """Compare stress with differences of energies, or with the virial of a first fit.

    Parameters
    ----------
    structures : Structures
    y : ndarray of shape (n_structures,)
        NaN where unknown.
    labels : Labels
    fit : FirstFit or None
        Of the forces.
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
    slope = _slope(pairs, order)
    if not slope.known:
        found = (
            _by_fit(structures, labels, fit) if fit is not None and by_forces else None
        )
        if found is not None:
            return found
        unknown = "Stress against energies: cannot be known from these structures."
        return _by_size(labels), [unknown]
    known = [f"Stress against energies: {slope} of strained cells."]
    findings = [_wrong_order(order, "error")] if order != USUAL else []
    if slope.may_be(1.0, BIAS):
        return findings, known
    right = [other for other in ORDERS[1:] if _agrees(pairs, other, slope)]
    if right and not findings:  # few pairs, to which another order says as much
        return [_wrong_order(right[0], "error")], known
    virial = _slope(pairs, order, undivided=True)
    seen = ("energies", f"{slope} of strained cells")
    return [*findings, _contradiction(slope, virial, seen, "error", BIAS)], known


def _slope(pairs: StrainedPairs, order: tuple, *, undivided: bool = False) -> Slope:
    """Slope of energies over what stress says."""
    work = pairs.work(order)
    if undivided:
        work = work / np.maximum(pairs.volume, np.finfo(float).tiny)
    return slope_of(pairs.change, work, pairs.scale, pairs.freedom)


def _agrees(pairs: StrainedPairs, order: tuple, usual: Slope) -> bool:
    """Whether another order agrees with energies better than any multiple of the usual."""
    slope = _slope(pairs, order)
    left, left_usual = (
        np.sum(((pairs.change - factor * pairs.work(one)) / pairs.scale) ** 2)
        for factor, one in ((1.0, order), (usual.value, USUAL))
    )
    return slope.known and slope.may_be(1.0, BIAS) and left < left_usual


def _by_fit(
    structures: Structures, labels: Labels, fit: FirstFit
) -> tuple[list[Finding], list[str]] | None:
    """Compare shear stress with that of forces between pairs; None if it tells nothing.

    Pressure is no matter of pairs alone in metals; shears nearly are, within a factor.
    """
    told = np.isfinite(fit.cosine) & labels.has_stress[fit.members]
    told &= fit.virial.any(axis=1)
    members = fit.members[told]
    volumes = np.abs(np.linalg.det(structures.flat.cells[members]))
    root = np.sqrt(structures.n_atoms[members])[:, None]  # as shears of many atoms grow
    given = labels.stress[members] * volumes[:, None] / root
    made = (fit.virial[told] / root)[:, 3:].ravel()
    shears = {order: given[:, order].ravel() for order in ORDERS}
    order = max(shears, key=lambda order: np.abs(shears[order] @ made))
    divided = [shears[order], shears[order] / np.repeat(volumes, 3)]
    ones = np.ones(len(made))
    slope, virial = (slope_of(made, given, ones, len(made)) for given in divided)
    if not slope.known:
        return None
    severity, by = "warning", f"{slope} of shears"
    findings = [_wrong_order(order, severity)] if order != USUAL else []
    if not slope.may_be(1.0, FIT_BIAS):
        seen = ("a first fit of forces", by)
        findings.append(_contradiction(slope, virial, seen, severity, FIT_BIAS))
    return findings, [f"Stress against a first fit of forces: {by}."]


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


def _wrong_order(order: tuple, severity: str) -> Finding:
    given = list(VOIGT)
    for place, taken in zip(USUAL, order):
        given[taken] = VOIGT[place]
    line = f"stress = stress[:, {[0, 1, 2, *order]}]"
    by = "energies" if severity == "error" else "a first fit of forces"
    return Finding(
        severity,
        "stress",
        f"Stress agrees with {by} in the order {' '.join(given)}",
        f"it is not in the order {' '.join(VOIGT)}, as codes differ in that of shears",
        f"Mend it by {listed([line])}, or train without it with stress=None.",
    )


def _contradiction(
    slope: Slope, virial: Slope, seen: tuple[str, str], severity: str, bias: float
) -> Finding:
    """Name what stress is to be multiplied by, the causes, and what mends it."""
    sign, minus = (-1, "-") if slope.value < 0 else (1, "")
    factor, names, lines = float(f"{slope.value:.3g}"), [], []
    if slope.may_be(-1.0, bias):
        factor, lines = -1, ["stress = -stress"]
    else:
        explained = explain(slope, "stress", 1.0 if bias == BIAS else bias)
        units, undivided = rivals(explained, slope, virial, bias)
        if undivided:
            names.append("it is a virial in eV, not divided by the volume")
            volumes = "[[atoms.cell.volume] for atoms in frames]"
            lines.append(f"stress = {minus}stress / {volumes}")
        for unit in units[:1]:
            of_y = unit.of == "energies"
            names.append(f"{'y' if of_y else 'it'} is in {unit.name}")
            in_ev = f"stress = {sign * unit.factor:.8g} * stress"
            lines.append(f"y = {unit.factor:.8g} * y" if of_y else in_ev)
    causes = [" or ".join(names)] if names else []
    if sign < 0:
        causes.append("it is positive under compression, as pressure is")
    lines = lines or [f"stress = {factor:.3g} * stress"]
    return Finding(
        severity,
        "stress",
        f"Stress agrees with {seen[0]} when multiplied by {factor:.4g}",
        ", and ".join(causes) or f"it is not the {NAMED}",
        f"Mend it by {listed(lines)}, or train without it with stress=None. Seen was a "
        f"{seen[1]}.",
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
