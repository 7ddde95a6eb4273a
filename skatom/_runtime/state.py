"""Fitted state as arrays and plain numbers, so that files name no private class."""

from __future__ import annotations

from importlib import import_module
from numbers import Real
from typing import ClassVar

import numpy as np

KEY = "__state__"  # of the name of a state in the dictionary that stands for it

# Calculators of ASE that are built from their parameters, and run no other program.
CALCULATORS = (
    "ase.calculators.emt.EMT",
    "ase.calculators.lj.LennardJones",
    "ase.calculators.morse.MorsePotential",
)

# Of floats that another processor may have rounded otherwise, relative to the largest.
ROUNDING = 1e-6
TWISTER_WORDS = 624  # of the state of a Mersenne twister


class StateError(ValueError):
    """Fitted state that contradicts itself, so that it cannot come from a fit."""


class State:
    """Base of private classes that a fitted estimator keeps its numbers in.

    What is stored of an object are its attributes: arrays, plain numbers, texts, public
    estimators, and further states. A subclass gives itself a name that files know it by,
    which stays when the class is renamed or moved, and lists the states inside of it.

    Examples
    --------
    >>> from skatom._runtime.state import State, apart, together
    >>> class Line(State):
    ...     _name = "line"
    ...     def __init__(self, slope):
    ...         self.slope = slope
    >>> apart(Line(2.0))
    {'__state__': 'line', 'slope': 2.0}
    >>> together(apart(Line(2.0)), (Line,)).slope
    2.0
    """

    _name: ClassVar[str]
    _states: ClassVar[tuple[type, ...]] = ()
    _not_stored: ClassVar[tuple[str, ...]] = ()  # what is computed anew

    def _state(self) -> dict:
        """Give the attributes as arrays and plain values."""
        return {
            name: apart(value)
            for name, value in vars(self).items()
            if name not in self._not_stored
        }

    @classmethod
    def _from_state(cls, state: dict) -> State:
        """Build an object from what `_state` gave; override to check it."""
        made = cls.__new__(cls)
        made.__dict__.update(
            {name: together(value, cls._states) for name, value in state.items()}
        )
        return made

    def _check_state(self) -> None:
        """Refuse arrays that compiled code could not rely on; called on loading a file.

        Raises
        ------
        StateError
            With what does not fit.
        """


class KeepsState:
    """Mixin of estimators whose attributes are states, or calculators of ASE.

    Pickles and model files then hold dictionaries of arrays in their place, and names and
    parameters of calculators. A subclass lists the states that it, and the states
    themselves, may hold in ``_states``.
    """

    _states: ClassVar[tuple[type, ...]] = ()

    def __getstate__(self):
        state = super().__getstate__()
        return {name: apart(value) for name, value in state.items()}

    def __setstate__(self, state):
        super().__setstate__(
            {name: together(value, self._states) for name, value in state.items()}
        )


def apart(value):
    """Take states and calculators apart, inside lists, tuples and dictionaries too."""
    if isinstance(value, State):
        return {KEY: value._name, **value._state()}
    if (name := _import_path(value)) in CALCULATORS:
        return {KEY: name, "parameters": dict(value.parameters)}
    if type(value) in (list, tuple):
        return type(value)(apart(one) for one in value)
    if type(value) is dict:
        return {key: apart(one) for key, one in value.items()}
    return value


def together(value, states: tuple[type, ...]):
    """Build the states that `apart` has taken apart.

    Parameters
    ----------
    value : object
    states : tuple of type
        Classes that may occur.

    Raises
    ------
    StateError
        If there is a state of another kind.
    """
    if type(value) in (list, tuple):
        return type(value)(together(one, states) for one in value)
    if type(value) is not dict:
        return value
    if KEY not in value:
        return {key: together(one, states) for key, one in value.items()}
    name = value[KEY]
    if name in CALCULATORS:
        return _calculator(name, value.get("parameters"))
    for cls in states:
        if cls._name == name:
            rest = {key: one for key, one in value.items() if key != KEY}
            return cls._from_state(rest)
    known = ", ".join(cls._name for cls in states)
    raise StateError(
        f"There is a state of kind {name!r}; {known or 'none'} may be here"
    )


def _import_path(value) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _calculator(name: str, parameters):
    """Build a calculator of ASE, from numbers and texts only."""
    plain = isinstance(parameters, dict) and all(
        isinstance(key, str) and isinstance(one, Real | str | None)
        for key, one in parameters.items()
    )
    if not plain:
        raise StateError(f"{name} has parameters that are no numbers")
    module, _, cls = name.rpartition(".")
    return getattr(import_module(module), cls)(**parameters)


def check_random_state(random_state: np.random.RandomState) -> None:
    """Refuse a state that would be read beyond its end.

    Raises
    ------
    StateError
        If the place is not among the words of a Mersenne twister.
    """
    state = random_state.get_state(legacy=False)["state"]
    if "pos" in state and not 0 <= state["pos"] <= TWISTER_WORDS:
        raise StateError("a random state has no such place")


def refuse_unlike(found, expected, name: str) -> None:
    """Refuse a stored value that is not, but for rounding, what it is computed to be.

    Parameters
    ----------
    found, expected : object
        Arrays, plain values, and containers of them.
    name : str
        Of the attribute, for the message.

    Raises
    ------
    StateError
        If type, shape or content differ.
    """
    if not _alike(found, expected):
        raise StateError(
            f"{name} is not what the parameters and species of the fit give"
        )


def _alike(found, expected) -> bool:
    if isinstance(expected, np.ndarray):
        return isinstance(found, np.ndarray) and _same_arrays(found, expected)
    if isinstance(expected, float):
        return isinstance(found, float) and _same_arrays(
            np.array(found), np.array(expected)
        )
    if type(found) is not type(expected):
        return False
    if isinstance(expected, list | tuple):
        return len(found) == len(expected) and all(map(_alike, found, expected))
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(
            _alike(found[key], value) for key, value in expected.items()
        )
    if hasattr(expected, "__dict__") and not callable(expected):
        return _alike(vars(found), vars(expected))
    return bool(found == expected)


def _same_arrays(found: np.ndarray, expected: np.ndarray) -> bool:
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        return False
    if expected.dtype.kind not in "fc":
        return np.array_equal(found, expected)
    largest = np.abs(expected).max(initial=0.0, where=np.isfinite(expected))
    return np.allclose(
        found, expected, rtol=0.0, atol=ROUNDING * largest, equal_nan=True
    )
