"""Checks of the invariances of features."""

# ruff: noqa: D401 - the first line of a check is its claim
from __future__ import annotations

import numpy as np
from ase import Atoms
from sklearn.base import clone

from skatom.potential import r_cut_of
from skatom.testing import _transformations as change
from skatom.testing._comparisons import (
    EXACT,
    deviation,
    periodic,
    require_close,
    require_equal,
)

# Rounding of coordinates of 1e4 Å, 2e-12 Å, times slopes of features.
FAR = 1e-8
# Relative to the radius: how near to it an atom is brought.
NEAR_CUTOFF = 1e-4


def _compare(featurizer, frames, transformation, what, tolerance=EXACT, of_atoms=None):
    fitted = clone(featurizer).fit(frames)
    for s, atoms in enumerate(frames):
        expected = fitted.transform([atoms]).values
        expected = expected if of_atoms is None else of_atoms(atoms, expected)
        found = fitted.transform([transformation(atoms)]).values
        require_close(
            found, expected, f"Features of frame {s} change {what}", tolerance
        )


def check_rotation(featurizer, frames):
    """Rotating a structure, cell and all, leaves features."""
    _compare(featurizer, frames, change.rotated, "under rotation")


def check_inversion(featurizer, frames):
    """Inverting a structure leaves features."""
    _compare(featurizer, frames, change.inverted, "under inversion")


def check_translation(featurizer, frames):
    """Moving a structure by 1e4 Å leaves features, but for rounding of positions."""
    _compare(featurizer, frames, change.translated, "under translation", FAR)


def check_permutation(featurizer, frames):
    """Listing atoms in another order lists their features in that order."""
    _compare(
        featurizer,
        frames,
        change.permuted,
        "with the order of atoms",
        of_atoms=lambda atoms, values: values[change.order(atoms)],
    )


def check_supercell(featurizer, frames):
    """Atoms of a supercell have the features of those of the cell."""
    _compare(
        featurizer,
        periodic(frames),
        change.repeated,
        "in a supercell",
        of_atoms=lambda a, values: np.tile(values, (2 ** int(a.pbc.sum()), 1)),
    )


def check_unwrapped_atoms(featurizer, frames):
    """Atoms outside the cell have the features of their images inside."""
    _compare(featurizer, periodic(frames), change.unwrapped, "with unwrapped atoms")


def check_left_handed_cell(featurizer, frames):
    """The sign of a cell vector does not matter."""
    _compare(featurizer, periodic(frames), change.left_handed, "in a left-handed cell")


def check_choice_of_cell(featurizer, frames):
    """Another, skewed, cell of the same lattice does not matter."""
    _compare(featurizer, periodic(frames, 2), change.skewed, "in a skewed cell")


def check_isolated_atoms(featurizer, frames):
    """An atom alone has finite features, the same in free space and in a large box.

    Two atoms farther apart than the radius are two atoms alone.
    """
    fitted = clone(featurizer).fit(frames)
    r_cut = r_cut_of(fitted)
    for symbol in sorted({s for atoms in frames for s in atoms.symbols}):
        free = fitted.transform([Atoms(symbol)]).values
        if not np.isfinite(free).all():
            raise AssertionError(f"Features of an isolated {symbol} are not finite.")
        boxed = Atoms(symbol, cell=[3 * r_cut] * 3, pbc=True)
        require_equal(
            fitted.transform([boxed]).values, free, f"{symbol} alone in a box differs"
        )
        pair = Atoms([symbol] * 2, [[0, 0, 0], [0, 0, 1.01 * r_cut]])
        require_equal(
            fitted.transform([pair]).values,
            np.concatenate([free, free]),
            f"Two {symbol} farther apart than r_cut differ from one alone",
        )


def check_continuity_at_cutoff(featurizer, frames):
    """An atom that crosses the radius changes features neither by a jump nor a kink."""
    fitted = clone(featurizer).fit(frames)
    r_cut = r_cut_of(fitted)
    species = sorted({s for atoms in frames for s in atoms.symbols})

    def features(distance: float, symbols) -> np.ndarray:
        places = [[0, 0, 0], [0.3 * r_cut, 0, 0], [0.2 * distance, 0.98 * distance, 0]]
        places[2] = np.array(places[2]) * distance / np.linalg.norm(places[2])
        return fitted.transform([Atoms(list(symbols), places)]).values[0]

    for symbols in {(a, b, c) for a in species[:2] for b in species for c in species}:
        far = features(1.01 * r_cut, symbols)
        inside = [features(x * r_cut, symbols) for x in (0.3, 0.5, 0.7, 0.9)]
        scale = max(np.abs(values - far).max() for values in inside)
        if scale == 0.0:
            continue
        near = features((1 - NEAR_CUTOFF) * r_cut, symbols)
        jump = np.abs(near - far).max() / scale
        if jump > NEAR_CUTOFF / 10:  # a kink would give about NEAR_CUTOFF
            raise AssertionError(
                f"Features of {symbols[0]} change by {jump:.2g} of their size when a "
                f"{symbols[2]} comes {NEAR_CUTOFF:g} r_cut inside the radius: their "
                "value or slope does not vanish there."
            )


def check_neighbors_beyond_cutoff(featurizer, frames):
    """Atoms beyond the radius do not matter."""
    fitted = clone(featurizer).fit(frames)
    symbol = str(frames[0].symbols[0])
    for s, atoms in enumerate(frames):
        if atoms.pbc.any():
            continue
        far = atoms.positions.max(axis=0) + 1.01 * r_cut_of(fitted)
        more = atoms + Atoms(symbol, [far])
        found = fitted.transform([more]).values[: len(atoms)]
        expected = fitted.transform([atoms]).values
        if deviation(found, expected) > 0:
            raise AssertionError(f"Frame {s} feels an atom beyond r_cut.")
