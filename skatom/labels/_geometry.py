"""Forces that cannot be those of the geometry, whatever the energies are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from skatom._validation import listing
from skatom.labels._first_fit import FirstFit
from skatom.labels._slopes import CERTAIN
from skatom.labels.report import Finding
from skatom.structures import Labels, Structures

# Share of the squared forces that moves or turns structures as a whole. Electronic
# structure codes leave less than a thousandth, random forces half of it in small molecules.
RIGID = 1e-3
# Share of the squared forces that pairs explain: two thirds and more of right ones.
EXPLAINED = 0.3
# Cosine between the forces of a structure and those of the fit that is no accident.
ALIKE, VERY_MUCH_ALIKE = 0.5, 0.8
# Forces of a structure over those of the fit that are another unit, or its inverse.
OTHER_SIZE = 5.0
MOST_STRUCTURES = 60


def judge_geometry(
    structures: Structures, labels: Labels, fit: FirstFit | None
) -> list[Finding]:
    """Find forces that do not belong to where atoms are.

    Parameters
    ----------
    structures : Structures
    labels : Labels
    fit : FirstFit or None
        Of the forces.
    """
    findings = _rigid(structures, labels)
    if findings or fit is None or judge_odd_forces(fit):
        return findings
    return [_unexplained(fit)] if fit.explained < EXPLAINED else []


def _rigid(structures: Structures, labels: Labels) -> list[Finding]:
    """Notice forces that move or turn structures as a whole."""
    known = np.flatnonzero(labels.has_forces & (structures.n_atoms > 1))
    places = np.linspace(0, len(known) - 1, min(len(known), MOST_STRUCTURES))
    rigid = total = 0.0
    for s in known[places.astype(int)]:
        atoms = structures[s]
        forces = labels.forces[slice(*structures.offsets[s : s + 2])]
        held = atoms.constraints or not np.all(np.any(forces, axis=1))
        if held and np.any(forces):
            continue  # held atoms take up what is missing
        rigid += np.sum((_modes(atoms).T @ forces.ravel()) ** 2)
        total += np.sum(forces**2)
    if rigid <= RIGID * total:
        return []
    return [
        Finding(
            "warning",
            "forces",
            f"{100 * rigid / total:.2g} % of the squared forces move or turn structures as "
            "a whole: they have a net force or a torque, which free structures have not",
            "forces may be in other axes or in another order than positions, or belong to "
            "other structures, or what holds or pushes atoms was left out",
            "Compare `atoms.positions` and the forces with what the calculation printed.",
        )
    ]


def _modes(atoms) -> np.ndarray:
    """Motions of a structure as a whole, orthonormal, (3 n_atoms, n_modes)."""
    n_atoms = len(atoms)
    modes = np.zeros((n_atoms, 3, 3 if atoms.pbc.any() else 6))
    modes[..., :3] = np.eye(3)
    if not atoms.pbc.any():
        x = atoms.positions - atoms.positions.mean(axis=0)
        for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):  # around axis a
            modes[:, c, 3 + a], modes[:, b, 3 + a] = x[:, b], -x[:, c]
    left, sizes, _ = np.linalg.svd(modes.reshape(3 * n_atoms, -1), full_matrices=False)
    return left[:, sizes > 1e-6 * sizes[0]]


def _unexplained(fit: FirstFit) -> Finding:
    return Finding(
        "warning",
        "forces",
        f"Forces between pairs of atoms explain {100 * max(fit.explained, 0.0):.2g} % of "
        "the squared forces, where they explain most of them in any matter",
        "forces may be in other axes or in another order than positions, or belong to "
        "other structures",
        "Compare `atoms.positions` and the forces with what the calculation printed.",
    )


def judge_sign(fit: FirstFit, mend: Callable) -> list[Finding]:
    """Notice bonds that push when they are stretched.

    Parameters
    ----------
    fit : FirstFit
    mend : callable
        Gives the line that multiplies forces by a factor.
    """
    stiffness, error = fit.stiffness
    if stiffness >= -norm.isf(CERTAIN) * error:
        return []
    return [
        Finding(
            "warning",
            "forces",
            "Forces drive atoms on from where they have moved, not back: in a fit of "
            "forces between pairs, stretched bonds push",
            "gradients may have been given",
            f"If so, mend it by `{mend(-1)}`.",
        )
    ]


def judge_odd_forces(fit: FirstFit) -> list[Finding]:
    """Notice structures whose forces have another sign or size than most.

    Parameters
    ----------
    fit : FirstFit
    """
    told = np.isfinite(fit.cosine)
    large = told & (fit.size > 1 / OTHER_SIZE) & (np.abs(fit.ratio) > 1 / OTHER_SIZE)
    if not large.any() or np.median(fit.cosine[large]) < ALIKE:
        return []
    size = fit.ratio / np.median(fit.ratio[large])
    other = (size > OTHER_SIZE) | (size < 1 / OTHER_SIZE)
    findings = []
    for odd, what, cause in (
        (
            large & (fit.cosine < -ALIKE),
            "point against what a fit to all expects",
            "gradients may have been given for these",
        ),
        (
            told & other & (fit.cosine > VERY_MUCH_ALIKE),
            "follow a fit to all, but in another size",
            "they may be in another unit than the rest",
        ),
    ):
        if odd.sum() < 2:
            continue
        factor = float(f"{1 / np.median(size[odd]):.2g}")
        where = fit.members[odd]
        findings.append(
            Finding(
                "warning",
                "forces",
                f"Of {len(fit.members)} structures that were looked at, the forces of "
                f"{listing(where)} {what}",
                cause,
                f"If so, multiply them, and those of all of their kind, by {factor:g}.",
                tuple(where.tolist()),
            )
        )
    return findings
