"""Targets of estimators: a name, a unit, and how atoms make the number."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase import units
from sklearn.utils import get_tags

from skatom._validation import check_n_structures, check_targets, closest
from skatom.base._inside import children
from skatom.features import NoDerivativeError

# What each kind is, in words, as messages and reports say it.
KINDS = {
    "sum": "a sum over atoms",
    "mean": "a mean over atoms",
    "max": "the largest of what atoms say",
    "softmax": "a mean over atoms weighted towards the largest",
    "atoms": "numbers of atoms themselves",
    "vector": "a vector of a structure",
    "magnitude": "the length of a vector",
    "tensor": "a symmetric tensor of a structure",
}
# Numbers that a structure, or an atom, has in one column.
WIDTHS = {"vector": 3, "tensor": 6}
# Units of the properties that ASE's calculators have beside energies.
ASE_UNITS = {"dipole": "e·Å", "charges": "e"}
# Dimension of a unit, and its size in the unit of ASE.
UNITS = {
    "eV": ("energy", 1.0),
    "meV": ("energy", 1e-3),
    "Hartree": ("energy", units.Hartree),
    "Rydberg": ("energy", units.Rydberg),
    "kcal/mol": ("energy", units.kcal / units.mol),
    "kJ/mol": ("energy", units.kJ / units.mol),
    "e·Å": ("dipole moment", 1.0),
    "Debye": ("dipole moment", units.Debye),
    "e·Bohr": ("dipole moment", units.Bohr),
    "e": ("charge", 1.0),
    "Å³": ("volume", 1.0),
    "Bohr³": ("volume", units.Bohr**3),
    "": ("number", 1.0),
}


@dataclass(frozen=True)
class Target:
    """What an estimator predicts.

    Estimators take it, or the name of a usual one, as their parameter ``target``. All that
    uses predictions asks :func:`target_of` for it: forces are those of energies only,
    ensembles average what they should, calculators, plots and files state name and unit.

    Parameters
    ----------
    name : str, default="energy"
        What it is called in tables, on axes and in the results of an evaluation.
    unit : str, default="eV"
        Unit of y and of predictions. Those of energies ("eV", "meV", "Hartree",
        "Rydberg", "kcal/mol", "kJ/mol"), dipole moments ("e·Å", "Debye", "e·Bohr"),
        charges ("e") and volumes ("Å³", "Bohr³") are converted where they have to be;
        any other is only stated. "" is a plain number.
    kind : str, default="sum"
        How atoms make it. "sum": extensive numbers. "mean": intensive ones. "max" and
        "softmax": those that few atoms decide, networks only. "atoms": numbers of atoms,
        one array a structure. "vector": (n_structures, 3), which rotates with the
        structure; "magnitude": its length. "tensor": symmetric, (n_structures, 6) in the
        order xx yy zz yz xz xy.
    n_columns : int, default=1
        How many such numbers a structure, or an atom, has.

    See Also
    --------
    target_of : The target of any estimator.

    Examples
    --------
    >>> from skatom.base import Target
    >>> gap = Target("band gap", "eV", "mean")
    >>> gap.label, gap.is_energy
    ('band gap (eV)', False)
    """

    name: str = "energy"
    unit: str = "eV"
    kind: str = "sum"
    n_columns: int = 1

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(
                f"kind of target {self.name!r} is {self.kind!r}."
                f"{closest(self.kind, KINDS)} There are {', '.join(KINDS)}."
            )
        if not (isinstance(self.name, str) and self.name):
            raise TypeError(f"name of a target is a text; got {self.name!r}.")
        if not isinstance(self.unit, str):
            raise TypeError(
                f"unit of target {self.name!r} is a text such as 'eV', or '' for plain "
                f"numbers; got {self.unit!r}."
            )
        if not isinstance(self.n_columns, int | np.integer) or self.n_columns < 1:
            raise ValueError(
                f"n_columns of target {self.name!r} is {self.n_columns!r}: give a "
                "positive whole number."
            )
        if self.n_columns > 1 and self.kind in ("vector", "magnitude", "tensor"):
            raise ValueError(
                f"target {self.name!r} of kind {self.kind!r} has one column: fit one "
                "model for each."
            )

    def __setstate__(self, state: dict) -> None:
        """Check what comes from a file."""
        self.__init__(**state)

    @property
    def width(self) -> int:
        """Numbers of one structure, or of one atom for numbers of atoms."""
        return WIDTHS.get(self.kind, self.n_columns)

    @property
    def per_atom(self) -> bool:
        """Whether there is one number, or row, an atom."""
        return self.kind == "atoms"

    @property
    def adds_up(self) -> bool:
        """Whether a prediction is the sum of what atoms contribute."""
        return self.kind in ("sum", "mean")

    @property
    def is_energy(self) -> bool:
        """Whether minus its slope is a force: one sum over atoms, in a unit of energy."""
        return self.kind == "sum" and self.width == 1 and _dimension(self) == "energy"

    @property
    def label(self) -> str:
        """Name and unit, as they stand on axes."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    @property
    def fine(self) -> tuple[str, float]:
        """Unit that errors are written in, and how many of these the own unit has."""
        return ("meV", 1e3) if self.unit == "eV" else (self.unit, 1.0)

    def error_label(self, what: str) -> str:
        """Name an error and its unit, as they stand on axes and over columns.

        Parameters
        ----------
        what : str
            Such as "MAE".
        """
        return f"{what} ({self.fine[0]})" if self.unit else what

    @property
    def words(self) -> str:
        """Name, unit and kind, as they stand in sentences."""
        unit = f" in {self.unit}" if self.unit else ""
        columns = f" with {self.n_columns} columns" if self.n_columns > 1 else ""
        return f"{self.name}{unit}, {KINDS[self.kind]}{columns}"

    def with_columns(self, n_columns: int) -> Target:
        """Give the same target with another number of columns."""
        return replace(self, n_columns=int(n_columns))

    def agrees_with(self, other: Target) -> bool:
        """Whether predictions of both may be added."""
        return (self.kind, self.unit, self.width) == (
            other.kind,
            other.unit,
            other.width,
        )

    def refuse_slopes(self, estimator, what: str) -> None:
        """Refuse forces, stress or energies of atoms of what is no energy.

        Parameters
        ----------
        estimator : estimator
            That predicts the target.
        what : str
            What is asked for, such as "forces".

        Raises
        ------
        NoDerivativeError
            Unless the target is an energy.
        """
        if self.is_energy:
            return
        raise NoDerivativeError(
            f"{type(estimator).__name__} predicts {self.words}: {what} belong to one "
            "energy. Ask for the property alone (predict, or evaluate(..., "
            f"forces=False).properties[{self.name!r}]), or take an estimator of energies."
        )

    def factor_to(self, unit: str) -> float:
        """Give the size of the unit in another one.

        Parameters
        ----------
        unit : str

        Returns
        -------
        factor : float

        Raises
        ------
        ValueError
            If the two do not measure the same.
        """
        if unit == self.unit:
            return 1.0
        if _dimension(self) in (None, "number") or unit not in UNITS:
            raise ValueError(_not_converted(self, unit))
        dimension, size = UNITS[unit]
        if dimension != _dimension(self):
            raise ValueError(_not_converted(self, unit))
        return UNITS[self.unit][1] / size


ENERGY = Target()
NAMED = {
    "energy": ENERGY,
    "dipole": Target("dipole", "e·Å", "vector"),
    "dipole_magnitude": Target("dipole_magnitude", "e·Å", "magnitude"),
    "charges": Target("charges", "e", "atoms"),
    "polarizability": Target("polarizability", "Å³", "tensor"),
    **{kind: Target("property", "", kind) for kind in list(KINDS)[:5]},
}


def as_target(given: str | Target) -> Target:
    """Give the target that a parameter names.

    Parameters
    ----------
    given : str or Target

    Returns
    -------
    target : Target

    Raises
    ------
    ValueError
        If there is no target of this name.
    """
    if isinstance(given, Target):
        return given
    if isinstance(given, str) and given in NAMED:
        return NAMED[given]
    raise ValueError(
        f"target is {given!r}.{closest(str(given), NAMED)} Give one of "
        f"{', '.join(map(repr, NAMED))}, or a skatom.base.Target(name, unit, kind)."
    )


def as_targets(given) -> tuple[Target, ...]:
    """Give the targets that a parameter names, the first one first.

    Parameters
    ----------
    given : str or Target, or list or tuple of these

    Returns
    -------
    targets : tuple of Target

    Raises
    ------
    ValueError
        If there is no target of a name, none at all, or two have the same name.
    """
    several = list(given) if isinstance(given, list | tuple) else [given]
    if not several:
        raise ValueError("target is empty: name what is predicted, such as 'energy'.")
    targets = tuple(map(as_target, several))
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"target names {name!r} {names.count(name)} times: give every target a "
                "name of its own, skatom.base.Target(name, unit, kind)."
            )
    return targets


def one_number(estimator) -> Target:
    """Give the target that an estimator of sums over atoms declares, or refuse it.

    Parameters
    ----------
    estimator : estimator
        With the parameter ``target``.

    Returns
    -------
    target : Target

    Raises
    ------
    ValueError
        Unless it is one sum, or mean, over atoms.
    """
    target = as_target(estimator.target)
    if target.adds_up and target.width == 1:
        return target
    raise ValueError(
        f"{type(estimator).__name__} adds up what atoms contribute to one number of a "
        f"structure, but the target is {target.words}. Networks, such as "
        "NeuralNetworkRegressor or PaiNNRegressor, have targets of every kind; of several "
        "sums or means, fit one model each."
    )


def target_of(estimator) -> Target:
    """Give what an estimator predicts.

    An estimator declares it by its parameter ``target``, and after fit by ``target_``. Of
    pipelines, searches and other wrappers it is that of the regressors inside; what says
    nothing predicts energies, as scikit-learn's regressors do.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    target : Target

    Raises
    ------
    ValueError
        If the regressors that a wrapper combines predict different things.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skatom.base import target_of
    >>> from skatom.models import SchNetRegressor
    >>> target_of(SchNetRegressor(target="dipole")).label, target_of(Ridge()).label
    ('dipole (e·Å)', 'energy (eV)')
    """
    return _declared(estimator) or ENERGY


def check_y(y, n_structures: int, target: Target) -> np.ndarray:
    """Check the y of a target as far as that needs no structures.

    Parameters
    ----------
    y : array-like
    n_structures : int
    target : Target

    Returns
    -------
    y : ndarray of shape (n_structures,) or (n_structures, n_columns)
        Of numbers of atoms, n_structures arrays as objects.
    """
    if y is not None and target.per_atom:
        check_n_structures(n_structures, y, "y")
        rows = np.empty(len(y), dtype=object)
        rows[:] = [np.asarray(one, dtype=np.float64) for one in y]
        return rows
    try:
        given = np.asarray(y)
    except ValueError:  # ragged: check_targets says what is wrong
        return check_targets(y, n_structures)
    if given.shape[1:] in ((), (1,)):
        return check_targets(y, n_structures)
    columns = given.reshape(len(given), -1).T
    return np.stack([check_targets(one, n_structures) for one in columns], axis=1)


def flat(y: np.ndarray) -> np.ndarray:
    """Give numbers of atoms one after the other, and what else `check_y` gave as it is."""
    return np.concatenate(y) if y.dtype == object else y


def _declared(estimator) -> Target | None:
    """Find the declaration of an estimator, or of those inside that predict."""
    fitted = getattr(estimator, "target_", None)
    if isinstance(fitted, Target):
        return fitted
    given = getattr(estimator, "target", None)
    if isinstance(given, list | tuple) and given:
        given = given[0]  # what predict gives
    if isinstance(given, Target) or (isinstance(given, str) and given in NAMED):
        given = as_target(given)
        if hasattr(estimator, "steps"):
            _refuse_contradiction(estimator, given)
        return given
    found = [(said, one) for one in _regressors(estimator) if (said := _declared(one))]
    for said, one in found[1:]:
        first, other = found[0]
        if not said.agrees_with(first):
            raise ValueError(
                f"{type(estimator).__name__} combines different targets: "
                f"{type(other).__name__} predicts {first.words}, and "
                f"{type(one).__name__} {said.words}. Give all of them one target."
            )
    return found[0][0] if found else None


def _refuse_contradiction(pipeline, target: Target) -> None:
    last = pipeline.steps[-1][1]
    said = _declared(last)
    if said is not None and said != target:
        raise ValueError(
            f"{type(pipeline).__name__} is said to predict {target.words}, but its last "
            f"step {type(last).__name__} predicts {said.words}: give the target to "
            f"{type(last).__name__}(target=...)."
        )


def _regressors(estimator) -> list:
    """Give what predicts directly inside an estimator."""
    if not hasattr(estimator, "get_params"):
        return []
    inside = children(estimator)
    if hasattr(estimator, "steps"):  # only the last one predicts
        inside = inside[-1:]
    return [one for one in inside if _predicts(one)]


def _predicts(estimator) -> bool:
    if hasattr(estimator, "steps"):
        return bool(estimator.steps) and _predicts(estimator.steps[-1][1])
    try:
        return get_tags(estimator).estimator_type == "regressor"
    except (AttributeError, TypeError, ValueError):  # tags of what is not fitted yet
        return hasattr(estimator, "predict")


def _dimension(target: Target) -> str | None:
    return UNITS.get(target.unit, (None, 0.0))[0]


def _not_converted(target: Target, unit: str) -> str:
    return (
        f"{target.name} in {target.unit or 'no unit'} is not converted to {unit}: state "
        f"its unit as {', '.join(name for name in UNITS if name)}, in "
        "Target(name, unit, kind)."
    )
