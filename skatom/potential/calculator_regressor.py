"""CalculatorRegressor: ASE calculators and bases as fitted estimators."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.data import atomic_numbers, chemical_symbols
from sklearn.base import BaseEstimator, RegressorMixin, clone

from skatom._runtime.state import KeepsState, StateError
from skatom._validation import (
    HasMethods,
    Integral,
    Interval,
    Real,
    StrOptions,
    _fit_context,
    check_is_fitted,
    check_targets,
    listing,
    refuse_unseen,
)
from skatom.base import NoStandardDeviationError
from skatom.bases import Base, BaseError, as_base
from skatom.bases._compute import Means, refuse_failures, results_of, why
from skatom.elements._counts import fit_composition, species_counts
from skatom.features import AtomFeatures
from skatom.features._fitted_on import remember
from skatom.potential._bases import answer_of_base, apart_from, least_squares
from skatom.potential.answers import Answer, Context, Deviations
from skatom.potential.estimators import answer
from skatom.potential.potential_methods import PotentialMethods
from skatom.structures import Structures, check_structures, read_labels

# Parts of estimators that nothing had to be fitted of, made once.
_UNFITTED: WeakKeyDictionary = WeakKeyDictionary()


class CalculatorRegressor(KeepsState, PotentialMethods, RegressorMixin, BaseEstimator):
    """Predict with an ASE calculator, or with a registered base such as GFN2-xTB.

    What anybody's calculator says becomes an estimator: error bars, reports, scores and
    guards work on it as on a model of skatom. A calculator alone has nothing to fit and is
    fitted as it comes; ``fit`` then only records the features that graders look at.

    Parameters
    ----------
    calculator : str, Base, ASE calculator, estimator, or list of these
        Name of a registered base ("gfn2-xtb", "gfn1-xtb", "emt", "lj", "zbl"), its settings
        (:class:`skatom.bases.GFN1xTB`), or any ASE calculator, of which a copy works on
        copies of the structures. Of a list the sum is predicted, each with a factor that
        least squares on energies, and forces where there are labels, give; estimators in
        it are cloned and fitted, a ``sklearn.frozen.FrozenEstimator`` is taken as it is.
    shift : bool, default=False
        Whether an energy of each element is fitted and added, by least squares. Total
        energies of two methods differ by such energies of free atoms.
    features : AtomFeaturizer or None, default=None
        What FeatureDistance and DomainFlags look at, since a calculator has no features.
        Fitted to the structures of ``fit``.
    forces : str or None, default="auto"
        Where labels of forces are for the factors of a list, as in
        :func:`~skatom.structures.read_labels`.
    on_failure : {"raise", "drop"}, default="raise"
        What ``fit`` does with structures for which a base fails: refuse them, or leave
        them out and warn. Predictions always refuse.
    memory : str, os.PathLike, joblib.Memory or None, default=None
        Folder that keeps results, shared by processes and sessions.
    max_memory : int, float or str, default="1GB"
        Bytes that kept results may take in this process, and in the folder; what was not
        used for longest goes first.
    n_jobs : int or None, default=None
        Processes that compute structures, as in joblib.
    verbose : int, default=0
        Whether a bar of progress is shown.

    Attributes
    ----------
    parts_ : list of Base or estimator
        What predicts.
    scales_ : ndarray of shape (n_parts,)
        Factor of each.
    shifts_ : dict of str to float
        Energy of each element in eV, empty without ``shift``.
    left_out_ : ndarray of int
        Structures of fit that a base failed for.

    See Also
    --------
    DeltaRegressor : Learns what such a base leaves.
    skatom.calculator.SkatomCalculator : The reverse.

    Notes
    -----
    Energies, forces and stress of a structure are computed once in a process, by whatever
    fold, clone or candidate of a search, and found by its content: numbers, positions,
    cell, pbc, charge and spin, for calculators of the user all arrays and info.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.potential import CalculatorRegressor
    >>> from skatom.uncertainty import ConformalRegressor
    >>> frames = [molecule(name) for name in ("H2O", "CH4", "NH3", "C2H6", "CH3OH")]
    >>> model = ConformalRegressor(CalculatorRegressor("emt"), cv="prefit", forces=None)
    >>> model.set_params(confidence_level=0.5).fit(frames, [1.9, 0.6, 1.5, 0.2, 1.5])
    ConformalRegressor(...)
    >>> model.predict_interval([molecule("CO2")])[1].shape
    (1, 2)
    """

    _parameter_constraints: dict = {
        "calculator": [str, list, tuple, Base, BaseCalculator, HasMethods("predict")],
        "shift": ["boolean"],
        "features": [HasMethods(["fit", "transform"]), None],
        "forces": [str, None],
        "on_failure": [StrOptions({"raise", "drop"})],
        "memory": "no_validation",
        "max_memory": [Interval(Real, 0, None, closed="neither"), str],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        calculator,
        *,
        shift=False,
        features=None,
        forces="auto",
        on_failure="raise",
        memory=None,
        max_memory="1GB",
        n_jobs=None,
        verbose=0,
    ):
        self.calculator = calculator
        self.shift = shift
        self.features = features
        self.forces = forces
        self.on_failure = on_failure
        self.memory = memory
        self.max_memory = max_memory
        self.n_jobs = n_jobs
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, *, forces=None):
        """Record the features, and fit shifts and factors where there are any.

        Parameters
        ----------
        X : sequence of ase.Atoms
        y : array-like of shape (n_structures,), optional
            Total energies in eV; needed for shifts and factors.
        forces : sequence of ndarray of shape (n_atoms, 3) or None, optional
            Forces in eV/Å that take precedence over stored ones.

        Returns
        -------
        self : object

        Raises
        ------
        BaseError
            If a base gives nothing for a structure, or for any with "drop".
        """
        structures = check_structures(X)
        parts = self._made()
        if self.features is not None:
            self.features_ = clone(self.features).fit(structures)
        self.scales_, self.shifts_ = np.ones(len(parts)), {}
        self.left_out_ = np.zeros(0, dtype=np.int64)
        self.fitted_on_ = np.zeros(0, dtype=np.uint64)
        if self._learns():
            y = check_targets(y, len(structures))
            labels = read_labels(
                structures,
                forces=self.forces if forces is None else forces,
                stress=None,
            )
            names = ("energy", "forces") if labels.has_forces.any() else ("energy",)
            keep = self._computed(parts, structures, names)
            self.left_out_ = np.flatnonzero(~keep)
            labels = labels.take(np.flatnonzero(keep), structures.offsets)
            structures, y = structures[keep], y[keep]
            parts = [_fitted(part, structures, y) for part in parts]
            remember(self, structures)
        self.parts_ = parts
        if self._learns():
            self._fit_scales_and_shifts(structures, y, labels)
        return self

    def predict(self, X: Sequence[Atoms]):
        """Compute energies.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        y : ndarray of shape (n_structures,)
            Total energies in eV.

        Raises
        ------
        BaseError
            If a base gives nothing for a structure.
        """
        check_is_fitted(self)
        structures = check_structures(X, allow_empty=True)
        return answer(self, structures, Context(forces=False)).values

    def environments(self, X: Sequence[Atoms]) -> AtomFeatures:
        """Give the features that graders of novelty look at.

        Parameters
        ----------
        X : sequence of ase.Atoms

        Returns
        -------
        features : AtomFeatures

        Raises
        ------
        TypeError
            If there are none.
        """
        if not hasattr(self, "features_"):
            raise TypeError(
                "FeatureDistance and DomainFlags look at features of atoms, and "
                "CalculatorRegressor has none: give it some and fit it, as in "
                "CalculatorRegressor(..., features=SOAP()).fit(frames)."
            )
        return self.features_.transform(check_structures(X, allow_empty=True))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "parts_") or not self._learns()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        tags.target_tags.required = bool(self._learns())
        return tags

    def _learns(self) -> bool:
        return bool(self.shift) or isinstance(self.calculator, list | tuple)

    def _made(self) -> list:
        """Make the parts of the parameter."""
        given = self.calculator
        several = list(given) if isinstance(given, list | tuple) else [given]
        if not several:
            raise ValueError("The list of bases is empty: give at least one, or None.")
        return [one if hasattr(one, "predict") else as_base(one) for one in several]

    def _ready(self) -> list:
        """Give the parts, which need no fit where there is nothing to learn."""
        if hasattr(self, "parts_"):
            return self.parts_
        given, parts = _UNFITTED.get(self, (None, None))
        if given is not self.calculator or parts is None:
            parts = self._made()
            _UNFITTED[self] = self.calculator, parts
        return parts

    def _means(self) -> Means:
        return Means(self.n_jobs, self.memory, self.max_memory, self.verbose)

    def _computed(self, parts: list, X: Structures, names) -> np.ndarray:
        """Compute the training structures, and tell which of them all bases can."""
        keep = np.ones(len(X), dtype=bool)
        for base in parts:
            if not isinstance(base, Base):
                continue
            found = results_of(base, X, names, self._means())
            if self.on_failure == "raise":
                refuse_failures(base, X, found)
            failed = np.array([isinstance(one, str) for one in found])
            if failed.all():
                raise BaseError(why(base, X, found, [0]) + " Nothing is left to fit.")
            if failed.any():
                text = why(base, X, found, np.flatnonzero(failed))
                warnings.warn(
                    f"{failed.sum()} of {len(X)} structures are left out of the fit "
                    f"({listing(np.flatnonzero(failed))}). {text}",
                    stacklevel=5,
                )
            keep &= ~failed
        if not keep.any():
            raise BaseError("No structure is left that all bases can compute.")
        return keep

    def _fit_scales_and_shifts(self, X: Structures, y: np.ndarray, labels) -> None:
        with_forces = bool(labels.has_forces.any())
        found = [self._of_part(part, X, Context(with_forces)) for part in self.parts_]
        energies = np.stack([one.values for one in found], axis=1)
        numbers = np.unique(X.numbers)
        if len(found) > 1:
            counts = species_counts(X, numbers)[:, : len(numbers) * self.shift]
            rows, goals = [apart_from(counts, energies)], [apart_from(counts, y)]
            if with_forces:
                known = np.repeat(labels.has_forces, X.n_atoms)
                ones = np.ones(len(X))
                forces = [one.pull(ones).forces[known].ravel() for one in found]
                rows.append(np.stack(forces, axis=1))
                goals.append(labels.forces[known].ravel())
            rows, goals = np.concatenate(rows), np.concatenate(goals)
            self.scales_ = least_squares(rows, goals, np.linalg.norm(energies))
        if self.shift:
            left = y - energies @ self.scales_
            fitted = fit_composition(X, left, np.ones(len(X)), numbers)
            symbols = [chemical_symbols[z] for z in numbers]
            self.shifts_ = dict(zip(symbols, map(float, fitted)))

    def _of_part(self, part, X: Structures, context: Context) -> Answer:
        if isinstance(part, Base):
            return answer_of_base(part, X, context, self._means())
        return answer(part, X, context)

    def _shifts_of_atoms(self, X: Structures) -> np.ndarray:
        shifts = getattr(self, "shifts_", {})
        if not shifts:
            return np.zeros(len(X.numbers))
        known = [atomic_numbers[symbol] for symbol in shifts]
        refuse_unseen(
            X.numbers, X.offsets, known, type(self).__name__,
            "Fit on structures with such elements, so that their shifts are known.",
        )  # fmt: skip
        table = np.zeros(len(chemical_symbols))
        table[known] = list(shifts.values())
        return table[X.numbers]

    def _check_state(self) -> None:
        if hasattr(self, "parts_") and np.shape(self.scales_) != (len(self.parts_),):
            raise StateError("the bases of a CalculatorRegressor have no factor each")


@answer.register(CalculatorRegressor)
def _of_calculators(estimator, X, context):
    X = check_structures(X, allow_empty=True)
    parts = estimator._ready()
    found = [estimator._of_part(part, X, context) for part in parts]
    scales = getattr(estimator, "scales_", np.ones(len(parts)))
    shifts = estimator._shifts_of_atoms(X)
    of_structures = np.zeros(len(X))
    np.add.at(of_structures, np.repeat(np.arange(len(X)), X.n_atoms), shifts)

    def pull(weights):
        first, *rest = (one.pull(scale * weights) for one, scale in zip(found, scales))
        return sum(rest, start=first)

    def refuse():
        raise NoStandardDeviationError(
            "CalculatorRegressor gives no standard deviations, since calculators state "
            "none: wrap it in ConformalRegressor(..., cv='prefit') for intervals."
        )

    return Answer(
        sum(scale * one.values for one, scale in zip(found, scales)) + of_structures,
        pull,
        lambda: sum(scale * one.atoms() for one, scale in zip(found, scales)) + shifts,
        Deviations(refuse, refuse, refuse),
    )


def _fitted(part, X: Structures, y: np.ndarray):
    return part if isinstance(part, Base) else clone(part).fit(X, y)
