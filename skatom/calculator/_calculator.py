"""An ASE calculator for any fitted estimator on structures."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from os import PathLike
from threading import RLock

import numpy as np
from ase import Atoms
from ase.calculators.calculator import (
    Calculator,
    CalculatorSetupError,
    PropertyNotImplementedError,
    all_changes,
)

from skatom._runtime.threads import few_blas_threads
from skatom._validation import closest
from skatom.base import NoStandardDeviationError, target_of
from skatom.base._inside import the_one, walk
from skatom.calculator._beside import (
    check_estimator,
    how_to_have,
    property_of,
    refuse_other,
    sources_of,
)
from skatom.calculator._look import Look, check_finite, results_of
from skatom.neighbors._skin import SkinPairs
from skatom.potential import CalculatorRegressor, r_cut_of
from skatom.potential.answers import Context
from skatom.potential.estimators import answer
from skatom.structures import check_structures
from skatom.structures._voigt import has_volume
from skatom.uncertainty._conformal.interval_regressor import IntervalRegressor
from skatom.uncertainty._force_std import grader_of
from skatom.uncertainty.guard import MEANING, ExtrapolationGuard

ENTERS = ("positions", "numbers", "cell", "pbc")
# In arrays and info, what a base may read.
CHARGES = ("initial_charges", "initial_magmoms", "charge", "spin")


class SkatomCalculator(Calculator):
    """Use a fitted estimator to move atoms: energies, forces and stress for ASE.

    Parameters
    ----------
    estimator : fitted estimator
        A pipeline on structures, or a wrapper that holds one (Potential, a search, a
        DeltaRegressor, a ConformalRegressor, ...).
    novelty : grader, estimator or "std", optional
        Grades atoms by how unlike the training environments they are, fitted:
        FeatureDistance, LatentDistance, DomainFlags (with the flag "std" the standard
        deviation of any model) or an object of yours with grade_atoms(X, pairs, seen);
        `seen` is what steps of the estimator gave for the structure, as (transformer,
        output) pairs. An estimator with standard deviations of forces, such as an
        ensemble, grades atoms by their length in eV/Å, as `threshold` then is; "std" is
        that of the estimator itself.
    skin : float, default=0.5
        How much farther than the cutoff neighbours are searched, in Å. The list is kept
        until an atom has moved by half of it. 0 searches at every step.
    on_extrapolation : {"ignore", "warn", "stop"}, default="ignore"
        What to do when an atom has a grade above the threshold: nothing (grades are
        there when asked for), warn once per crossing, or raise ExtrapolationError.
    threshold : float, default=1.0
        Largest grade that counts as inside.
    properties : dict of str to fitted estimator, optional
        Estimators of "dipole" and "charges", which the estimator need not have itself.

    Attributes
    ----------
    results : dict
        Energy, free energy, energies of atoms (eV), forces (eV/Å), stress (eV/Å³,
        Voigt, positive = tension), dipole (e·Å) and charges (e) of the last structure, as
        far as asked for.
    extras : dict
        What ASE has no names for, as far as asked for; see the notes.

    See Also
    --------
    skatom.uncertainty.FeatureDistance : Grades for `novelty`.
    skatom.uncertainty.ConformalRegressor : Intervals for energies and forces.

    Notes
    -----
    Besides ASE's properties, ``calc.get_property(name, atoms)`` knows

    - ``"energy_interval"``, shape (2,): lower and upper end in eV, of a
      ConformalRegressor or another estimator with intervals, and
    - ``"forces_interval"``, shape (n_atoms, 3, 2), in eV/Å, where these are calibrated;
    - ``"energy_std"`` in eV, and ``"forces_std"``, shape (n_atoms, 3), in eV/Å, of an
      estimator that has standard deviations;
    - ``"extrapolation"`` and ``"extrapolation_per_atom"``: grades of `novelty`.

    They are kept apart from ``results``, which ASE writes to files and checks against the
    names it knows.

    A structure with NaN positions or with elements that the estimator has not seen, and
    an estimator that gives NaN, are errors. Charges, magnetic moments and ``info`` do not
    enter, unless a base beneath the model reads them; dipole moments know
    ``info["charge"]``, and those of ions are measured from the centre of mass. Both
    moments and charges are there where the estimator, such as a network of several
    targets, predicts them, or one in `properties` does. Stress exists where there is a
    volume: a cell of three vectors, periodic along one or more. Several threads may share
    a calculator; they take turns.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from skatom import SkatomCalculator
    >>> from skatom.models import CompositionBaseline
    >>> copper = bulk("Cu").repeat(2)
    >>> model = CompositionBaseline().fit([copper], [-8.0])
    >>> copper.calc = SkatomCalculator(model)
    >>> round(float(copper.get_potential_energy()), 6)
    -8.0
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress", "energies"]
    extra_properties = (
        "energy_interval",
        "forces_interval",
        "energy_std",
        "forces_std",
        "extrapolation",
        "extrapolation_per_atom",
    )
    ignored_changes = frozenset({"initial_charges", "initial_magmoms"})

    def __init__(
        self,
        estimator,
        *,
        novelty=None,
        skin: float = 0.5,
        on_extrapolation: str = "ignore",
        threshold: float = 1.0,
        properties: Mapping | None = None,
    ):
        check_estimator(estimator)
        _check_options(novelty, skin, on_extrapolation)
        refuse_other(target_of(estimator), estimator)
        self._lock = RLock()
        self.extras: dict = {}
        super().__init__()
        self.estimator = estimator
        self.novelty = grader_of(novelty, estimator)
        self.skin = skin
        self._intervals = the_one(estimator, IntervalRegressor)
        meaning = getattr(self.novelty, "meaning", MEANING)
        self._guard = ExtrapolationGuard(on_extrapolation, threshold, meaning)
        self._neighbors = self._new_neighbors()
        self._beside = sources_of(estimator, properties)
        self.implemented_properties = [
            *type(self).implemented_properties,
            *self._beside,
        ]
        parts = walk(estimator)
        self._reads_charges = bool(self._beside) or any(
            isinstance(p, CalculatorRegressor) for p in parts
        )
        self._look: Look | None = None

    @classmethod
    def from_file(
        cls, path: str | PathLike, *, trusted: bool = False, **options
    ) -> SkatomCalculator:
        """Load a saved estimator and make a calculator of it.

        Parameters
        ----------
        path : path-like
            File written by :func:`skatom.persistence.save`.
        trusted : bool, default=False
            Passed to :func:`skatom.persistence.load`.
        **options
            Parameters of the calculator.

        Returns
        -------
        calculator : SkatomCalculator
        """
        from skatom.persistence import load

        return cls(load(path, trusted=trusted), **options)

    def get_property(self, name, atoms=None, allow_calculation=True):
        """Give a property of ASE, or one of those in the notes, as a copy.

        Parameters
        ----------
        name : str
        atoms : ase.Atoms, optional
            By default the last structure.
        allow_calculation : bool, default=True
            If False, None is returned for what is not known yet.

        Returns
        -------
        value : float or ndarray
        """
        with self._lock:
            known = (*self.implemented_properties, *self.extra_properties)
            if name not in known:
                raise PropertyNotImplementedError(
                    f"SkatomCalculator has no property {name!r}.{closest(name, known)} "
                    f"It has {', '.join(known)}.{how_to_have(name)}"
                )
            atoms = self._current(atoms)
            changes = self.check_state(atoms)
            if changes:
                self.reset()
            if self._value_of(name) is None:
                if not allow_calculation:
                    return None
                self.calculate(atoms, [name], changes)
            value = self._value_of(name)
            return value.copy() if isinstance(value, np.ndarray) else value

    def calculate(
        self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)
    ):
        """Compute what is asked for, and what comes with it at next to no cost.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            By default the last structure.
        properties : sequence of str
            Names of ASE, or those in the notes.
        system_changes : sequence of str
            What has changed since the last structure; nothing means that results are
            added to those that are there.
        """
        with self._lock:
            atoms = self._current(atoms)
            is_new = bool(system_changes) or self._look is None
            if is_new:
                self.reset()
            if "stress" in properties and not has_volume(atoms):
                raise PropertyNotImplementedError(
                    "Stress is defined by a volume: a cell of three vectors, periodic "
                    f"along one or more; pbc is {atoms.pbc.tolist()}, with "
                    f"{atoms.cell.rank} cell vectors."
                )
            with few_blas_threads(len(atoms)):
                look = self._look_at(atoms.copy(), properties) if is_new else self._look
                results = results_of(look, properties)
                if is_new and self._guard.is_on:
                    self._guard.check(self._grades(look), look.atoms)
                for name in self._beside:
                    if name in properties:
                        value = property_of(self._beside[name], name, look)
                        results |= check_finite({name: value})
                for name in properties:
                    if name in self.extra_properties and name not in self.extras:
                        self._compute_extra(name, look)
            self.results.update(results)
            self.atoms, self._look = look.atoms, look

    def check_state(self, atoms, tol: float = 1e-15) -> list[str]:
        """Tell what differs from the last structure.

        Parameters
        ----------
        atoms : ase.Atoms
        tol : float
            Ignored: whatever differs is a change.

        Returns
        -------
        changes : list of str
        """
        if self.atoms is None:
            return list(all_changes)
        pairs = zip(_enters(self.atoms), _enters(atoms))
        differs = [a.shape != b.shape or not (a == b).all() for a, b in pairs]
        changes = [name for name, differ in zip(ENTERS, differs) if differ]
        if self._reads_charges:
            pairs = zip(_charges(self.atoms), _charges(atoms))
            differs = [not np.array_equal(one, other) for one, other in pairs]
            changes += [name for name, differ in zip(CHARGES, differs) if differ]
        return changes

    def reset(self) -> None:
        """Forget the last structure and its results."""
        super().reset()
        self.extras, self._look = {}, None

    def _new_neighbors(self) -> SkinPairs | None:
        """Make a neighbour list for featurizers; other estimators have their own."""
        r_cut = r_cut_of(self.estimator)
        if r_cut is None:
            return None
        of_novelty = getattr(
            self.novelty, "estimator_", getattr(self.novelty, "estimator", None)
        )
        if of_novelty is not None:
            r_cut = max(r_cut, r_cut_of(of_novelty) or 0.0)
        return SkinPairs(r_cut, self.skin)

    def _current(self, atoms: Atoms | None) -> Atoms:
        atoms = self.atoms if atoms is None else atoms
        if atoms is None:
            raise CalculatorSetupError(
                "There is no structure to calculate: pass atoms, or set atoms.calc and "
                "ask the atoms."
            )
        return atoms

    def _value_of(self, name: str):
        """Give a property if it is known."""
        known = self.extras if name in self.extra_properties else self.results
        return known.get(name)

    def _look_at(self, atoms: Atoms, properties) -> Look:
        """Ask the estimator about a structure, and announce what will follow."""
        structures, known = check_structures([atoms], name="atoms"), self._neighbors
        context = Context(
            forces=not {"forces", "stress", "forces_std"}.isdisjoint(properties),
            stress=has_volume(atoms),
            atomic="energies" in properties,
            pairs=None if known is None else known.pairs_of(atoms),
        )
        found = answer(self.estimator, structures, context)
        refuse_other(found.target, self.estimator)
        return Look(structures, context.pairs, found)

    def _grades(self, look: Look) -> np.ndarray:
        grades = self.novelty.grade_atoms(look.structures, look.pairs, look.found.seen)
        grades = np.asarray(grades[0])
        self.extras["extrapolation"] = float(grades.max())
        self.extras["extrapolation_per_atom"] = grades
        return grades

    def _compute_extra(self, name: str, look: Look) -> None:
        """Compute a property that ASE does not know."""
        if name == "energy_interval":
            intervals, X = self._need_intervals(name), look.structures
            around = intervals.interval_around(look.found.values, X=X)[0]
            self.extras[name] = look.unit * around
        elif name == "forces_interval":
            intervals, forces = self._need_intervals(name), results_of(look, ["forces"])
            self.extras[name] = intervals.forces_interval_around(
                forces["forces"], atoms=look.atoms
            )
        elif name in ("energy_std", "forces_std"):
            try:
                std = look.found.std
                of_forces = name == "forces_std"
                value = std.forces() if of_forces else float(std.energies()[0])
                value = look.unit * value
            except NoStandardDeviationError as error:
                raise PropertyNotImplementedError(f"{name!r}: {error}") from error
            self.extras[name] = value
        elif self.novelty is None:
            raise PropertyNotImplementedError(
                f"{name!r} needs something that grades structures: pass "
                "novelty=FeatureDistance(estimator).fit(X) to the calculator."
            )
        else:
            self._grades(look)

    def _need_intervals(self, name: str) -> IntervalRegressor:
        if self._intervals is None:
            raise PropertyNotImplementedError(
                f"{name!r} needs a fitted ConformalRegressor as the estimator; this one "
                f"is a {type(self.estimator).__name__}."
            )
        of_forces = hasattr(self._intervals, "forces_interval_around")
        if name == "forces_interval" and not of_forces:
            raise PropertyNotImplementedError(
                f"{name!r}: {type(self._intervals).__name__} has intervals of energies "
                "only. ConformalRegressor and QuantileConformalRegressor calibrate "
                "forces too."
            )
        return self._intervals

    def __getstate__(self):
        state = self.__dict__.copy()
        del state["_lock"]
        state["_look"] = None  # holds functions, which cannot be pickled
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._lock = RLock()


def _enters(atoms: Atoms) -> tuple:
    return atoms.positions, atoms.numbers, atoms.cell.array, atoms.pbc


def _charges(atoms: Atoms) -> list:
    return [atoms.arrays.get(name, atoms.info.get(name)) for name in CHARGES]


def _check_options(novelty, skin: float, on_extrapolation: str) -> None:
    if not isinstance(skin, Real) or not np.isfinite(skin) or skin < 0:
        raise ValueError(f"skin must be zero or a positive length in Å; got {skin!r}.")
    if novelty is None and on_extrapolation != "ignore":
        raise ValueError(
            f"on_extrapolation={on_extrapolation!r} needs something that grades "
            "structures: pass novelty=FeatureDistance(estimator).fit(X)."
        )
