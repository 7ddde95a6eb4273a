"""Checks of the physics of predicted energies: invariances, forces, stress."""

# ruff: noqa: D401 - the first line of a check is its claim
from __future__ import annotations

from collections.abc import Callable
from unittest import SkipTest

import numpy as np
from ase import Atoms

from skatom.features import NoDerivativeError
from skatom.potential import (
    evaluate,
    predict_atomic_energies,
    predict_forces,
    predict_stress,
)
from skatom.testing import _transformations as change
from skatom.testing._comparisons import (
    deviation,
    periodic,
    require_close,
    require_forces,
    require_stress,
)

# No radius of any featurizer reaches as far.
FAR_APART_IN_ANGSTROM = 60.0
# Energies count in units of 1 eV where they are small.
FLOOR_IN_EV = 1.0


def check_energy_under_rotation(subject, frames, y, limits):
    """Rotating a structure leaves its energy."""
    fitted = subject.fitted
    _compare(fitted, frames, change.rotated, "under rotation", limits.exact)


def check_energy_under_inversion(subject, frames, y, limits):
    """Inverting a structure leaves its energy."""
    fitted = subject.fitted
    _compare(fitted, frames, change.inverted, "under inversion", limits.exact)


def check_energy_under_translation(subject, frames, y, limits):
    """Moving a structure by 1e4 Å leaves its energy, but for rounding of positions."""
    fitted = subject.fitted
    _compare(fitted, frames, change.translated, "under translation", limits.far)


def check_energy_under_permutation(subject, frames, y, limits):
    """The order of atoms does not matter."""
    fitted = subject.fitted
    _compare(fitted, frames, change.permuted, "with the order of atoms", limits.exact)


def check_energy_of_unwrapped_atoms(subject, frames, y, limits):
    """Atoms outside the cell count as their images inside."""
    crystals, fitted = periodic(frames), subject.fitted
    _compare(fitted, crystals, change.unwrapped, "with unwrapped atoms", limits.exact)


def check_energy_of_left_handed_cell(subject, frames, y, limits):
    """The sign of a cell vector does not matter."""
    crystals, fitted = periodic(frames), subject.fitted
    _compare(
        fitted, crystals, change.left_handed, "in a left-handed cell", limits.exact
    )


def check_energy_of_other_cell(subject, frames, y, limits):
    """Another, skewed, cell of the same lattice does not matter."""
    crystals, fitted = periodic(frames, 2), subject.fitted
    _compare(fitted, crystals, change.skewed, "in a skewed cell", limits.exact)


def check_energy_of_supercell(subject, frames, y, limits):
    """A supercell has the energy of its cells (total energies are extensive)."""
    if not limits.extensive:
        raise SkipTest("not an extensive property")
    crystals, fitted = periodic(frames), subject.fitted
    what = "a cell in a supercell"
    for atoms in crystals:
        copies = 2 ** int(atoms.pbc.sum())
        _compare(fitted, [atoms], change.repeated, what, limits.exact, copies)


def check_energy_of_distant_parts(subject, frames, y, limits):
    """Two molecules far apart have the sum of their energies."""
    if not limits.extensive:
        raise SkipTest("not an extensive property")
    molecules = [atoms for atoms in frames if not atoms.pbc.any()]
    if not molecules:
        raise SkipTest("no structure is a molecule")
    fitted = subject.fitted
    _compare(fitted, molecules, _with_twin, "beside a distant twin", limits.exact, 2)


def _with_twin(atoms: Atoms) -> Atoms:
    twin = atoms.copy()
    twin.positions += FAR_APART_IN_ANGSTROM
    return atoms + twin


def _compare(fitted, frames, transformation, what, tolerance, copies: int = 1):
    """Fail where a transformed structure has not the energy of its copies."""
    for atoms in frames:
        require_close(
            fitted.predict([transformation(atoms)]),
            copies * fitted.predict([atoms]),
            f"The energy of {atoms.symbols} changes {what}",
            tolerance,
            floor=FLOOR_IN_EV,
        )


def check_energy_of_isolated_atoms(subject, frames, y, limits):
    """An atom alone has a finite energy, and no force."""
    fitted = subject.fitted
    for symbol in sorted({s for atoms in frames for s in atoms.symbols}):
        atom = Atoms(symbol)
        if not np.isfinite(fitted.predict([atom])).all():
            raise AssertionError(f"The energy of an isolated {symbol} is not finite.")
        if np.abs(_forces(fitted, [atom])[0]).max() > limits.exact:
            raise AssertionError(f"An isolated {symbol} feels a force.")


def _forces(fitted, frames) -> list[np.ndarray]:
    """Forces; skips the check where the estimator has no derivative."""
    try:
        return predict_forces(fitted, frames)
    except NoDerivativeError as error:
        raise SkipTest(f"no forces: {error}") from error


def check_energies_beside_forces(subject, frames, y, limits):
    """Energies that come together with forces are those that come alone."""
    fitted = subject.fitted
    _forces(fitted, frames)
    require_close(
        evaluate(fitted, frames).energies,
        fitted.predict(frames),
        "Energies asked for together with forces differ from those of predict",
        limits.exact,
        floor=FLOOR_IN_EV,
    )


def check_forces_match_differences(subject, frames, y, limits):
    """Forces are minus the slope of the energy, by central differences."""
    fitted = subject.fitted
    rng = np.random.default_rng(0)
    for atoms, forces in zip(frames, _forces(fitted, frames)):
        direction = rng.normal(size=(len(atoms), 3))
        require_forces(_energies(fitted), atoms, forces, direction, limits)


def check_stress_matches_differences(subject, frames, y, limits):
    """Stress is the slope of the energy by strain, over the volume, in ASE's sign."""
    fitted = subject.fitted
    crystals = periodic(frames, 3)
    _forces(fitted, crystals[:1])
    for atoms, stress in zip(crystals, predict_stress(fitted, crystals)):
        require_stress(_energies(fitted), atoms, stress, limits)


def _energies(fitted) -> Callable[[Atoms], float]:
    return lambda atoms: fitted.predict([atoms])[0]


def check_forces_balance(subject, frames, y, limits):
    """Forces sum to zero, and their torque too where nothing is periodic."""
    fitted = subject.fitted
    for atoms, forces in zip(frames, _forces(fitted, frames)):
        scale = np.abs(forces).sum() + FLOOR_IN_EV
        if np.abs(forces.sum(axis=0)).max() > limits.exact * scale:
            raise AssertionError(f"Forces on {atoms.symbols} do not sum to zero.")
        torque = np.cross(atoms.positions, forces).sum(axis=0)
        reach = 1 + np.abs(atoms.positions).max()
        if not atoms.pbc.any() and np.abs(torque).max() > limits.exact * scale * reach:
            raise AssertionError(f"Forces on {atoms.symbols} turn it as a whole.")


def check_forces_follow_the_structure(subject, frames, y, limits):
    """Forces rotate with the structure and follow the order of its atoms."""
    fitted = subject.fitted
    turned = [change.rotated(atoms) for atoms in frames]
    permuted = [change.permuted(atoms) for atoms in frames]
    plain = _forces(fitted, frames)
    for atoms, forces, after, sorted_ in zip(
        frames, plain, _forces(fitted, turned), _forces(fitted, permuted)
    ):
        expected = forces @ change.rotation_matrix()
        if deviation(after, expected, FLOOR_IN_EV) > limits.exact:
            raise AssertionError(f"Forces on {atoms.symbols} do not rotate with it.")
        expected = forces[change.order(atoms)]
        if deviation(sorted_, expected, FLOOR_IN_EV) > limits.exact:
            raise AssertionError(f"Forces on {atoms.symbols} do not follow its atoms.")


def check_energies_of_atoms_sum_up(subject, frames, y, limits):
    """Energies of atoms sum to the prediction for their structure."""
    fitted = subject.fitted
    try:
        of_atoms = predict_atomic_energies(fitted, frames)
    except (NoDerivativeError, TypeError) as error:
        raise SkipTest(f"no energies of atoms: {error}") from error
    require_close(
        [energies.sum() for energies in of_atoms],
        fitted.predict(frames),
        "The sums of energies of atoms differ from the predictions",
        limits.exact,
        floor=FLOOR_IN_EV,
    )
