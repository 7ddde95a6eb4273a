"""Checks of the structures that an estimator is given."""

# ruff: noqa: D401 - the first line of a check is its claim
from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator

from skatom.structures import Structures
from skatom.testing._comparisons import (
    require_close,
    require_equal,
    require_error,
    values_of,
)


class _Untouchable(Calculator):
    """A calculator that fails the check when it is asked for anything."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, *args, **kwargs):
        raise AssertionError("A calculation was started by the estimator.")


def output_of(fitted, X) -> np.ndarray:
    """What an estimator makes of structures: features or predictions."""
    if hasattr(fitted, "predict"):
        return np.asarray(fitted.predict(X))
    return values_of(fitted.transform(X))


def same_parameters(before: dict, after: dict) -> list[str]:
    """Names of parameters that differ; arrays by value, estimators by their own."""
    return [
        name
        for name in before
        if not hasattr(before[name], "get_params")
        and repr(before[name]) != repr(after.get(name))
    ]


def stranger(frames) -> int:
    """Atomic number of an element that no frame contains."""
    present = {int(z) for atoms in frames for z in atoms.numbers}
    return next(z for z in (36, 54, 2, 10, 18, *range(1, 119)) if z not in present)


def check_every_sequence_is_alike(subject, frames, y=None):
    """List, tuple, object array, column, pandas and `Structures` give the same bits."""
    fitted = subject.fitted
    expected = output_of(fitted, list(frames))
    objects = np.empty(len(frames), dtype=object)
    objects[:] = frames
    ways = {
        "tuple": tuple(frames),
        "object array": objects,
        "object column": objects[:, None],
        "Structures": Structures(frames),
    }
    try:
        import pandas as pd
    except ImportError:
        pass
    else:
        ways["pandas Series"] = pd.Series(list(frames))
        ways["pandas column"] = pd.DataFrame({"atoms": list(frames)})
    for name, X in ways.items():
        require_equal(output_of(fitted, X), expected, f"Output for a {name} differs")
        refitted = subject.fit(X, y)
        require_equal(
            output_of(refitted, X), expected, f"Output after a fit on a {name} differs"
        )


def check_structures_of_equal_size(subject, frames, y=None):
    """Structures of equal size are not taken apart into atoms."""
    fitted = subject.fitted
    pair = [frames[0], frames[0].copy()]
    one = output_of(fitted, pair[:1])
    require_close(
        output_of(fitted, pair),
        np.concatenate([one, one]),
        "Output for two structures of equal size differs from that of each",
    )


def check_one_by_one(subject, frames, y=None):
    """A structure gets the same, whatever its companions are."""
    fitted = subject.fitted
    together = output_of(fitted, frames)
    alone = np.concatenate([output_of(fitted, [atoms]) for atoms in frames])
    # not to the last bit: BLAS orders its sums by the shape of the batch
    require_close(alone, together, "Output of single structures differs from the batch")


def check_input_is_unchanged(subject, frames, y=None):
    """Frames and targets are the same after fit and output as before."""
    before = [_contents(atoms) for atoms in frames]
    targets = None if y is None else np.array(y, copy=True)
    output_of(subject.fit(frames, y), frames)
    for s, (atoms, contents) in enumerate(zip(frames, before)):
        changed = [
            name
            for name, value in _contents(atoms).items()
            if not _same(value, contents.get(name))
        ]
        if changed or set(contents) - set(_contents(atoms)):
            raise AssertionError(f"Frame {s} was changed: {changed}.")
    if y is not None:
        require_equal(y, targets, "The targets were changed")


def check_labels_are_not_read(subject, frames, y=None):
    """Output is the same without labels, and never starts a calculator."""
    fitted = subject.fitted
    expected = output_of(fitted, frames)
    bare = [Atoms(a.numbers, a.positions, cell=a.cell, pbc=a.pbc) for a in frames]
    require_equal(output_of(fitted, bare), expected, "Output without labels differs")
    for atoms in bare:
        atoms.calc = _Untouchable()
    require_equal(output_of(fitted, bare), expected, "Output with a calculator differs")


def check_output_repeats_itself(subject, frames, y=None):
    """The same fit gives the same bits again."""
    require_equal(
        output_of(subject.fit(frames, y), frames),
        output_of(subject.fitted, frames),
        "Two fits on the same data differ",
    )


def check_wrong_input_is_refused(subject, frames, y=None):
    """A single Atoms, numbers, broken and empty structures are errors with their place."""
    fitted = subject.fitted
    broken = frames[0].copy()
    broken.positions[-1, 0] = np.nan
    cases = [
        (frames[0], (TypeError,), ("[atoms]",), "for a single ase.Atoms"),
        (np.zeros((2, 3)), (TypeError, ValueError), (), "for an array of numbers"),
        ("a.xyz", (TypeError,), ("str",), "for the name of a file"),
        ([frames[0], None], (TypeError,), ("1", "NoneType"), "for None in the list"),
        ([Atoms()], (ValueError,), ("0", "no atoms"), "for a structure without atoms"),
        (
            [frames[0], broken],
            (ValueError,),
            ("structure 1", f"atoms {len(broken) - 1}"),
            "for a position that is NaN",
        ),
    ]
    for X, kinds, words, when in cases:
        require_error(lambda X=X: output_of(fitted, X), kinds, words, when)


def _contents(atoms: Atoms) -> dict:
    contents = {name: array.copy() for name, array in atoms.arrays.items()}
    contents |= {"cell": atoms.cell.array.copy(), "pbc": atoms.pbc.copy()}
    contents |= {f"info {name}": value for name, value in atoms.info.items()}
    contents["calculator"] = id(atoms.calc)
    for name, value in getattr(atoms.calc, "results", {}).items():
        contents[f"result {name}"] = np.array(value, copy=True)
    return contents


def _same(one, two) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, two)
    return one is two or repr(one) == repr(two)
