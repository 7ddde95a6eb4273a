"""Checks of the contract between featurizers and models."""

# ruff: noqa: D401 - the first line of a check is its claim
from __future__ import annotations

from unittest import SkipTest

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from sklearn import config_context
from sklearn.base import clone

from skatom.base import AtomFeaturizer
from skatom.features import AtomFeatures
from skatom.testing._comparisons import require_close, require_equal, values_of
from skatom.testing._inputs import stranger

# Parameters that say how features are computed, not what they are.
LIVE = ("n_jobs", "max_memory", "verbose")
# Enough atoms that work is shared between two threads.
ATOMS_FOR_THREADS = 2500


def check_features_belong_to_atoms(featurizer, frames):
    """``transform`` gives finite float64 AtomFeatures of the structures it was given."""
    X = clone(featurizer).fit(frames).transform(frames)
    if not isinstance(X, AtomFeatures):
        raise AssertionError(f"transform gives {type(X).__name__}, not AtomFeatures.")
    sizes = [len(atoms) for atoms in frames]
    if X.n_atoms.tolist() != sizes:
        raise AssertionError(
            f"transform gives atoms {X.n_atoms.tolist()}, not {sizes}."
        )
    require_equal(
        X.numbers,
        np.concatenate([a.numbers for a in frames]),
        "The atomic numbers of the features differ from those of the frames",
    )
    if X.values.dtype != np.float64 or not np.isfinite(X.values).all():
        raise AssertionError("Features are not finite float64 numbers.")
    if any(a is not b for a, b in zip(X.structures or [], frames)) or not X.structures:
        raise AssertionError(
            "The features do not refer to the frames they are made of."
        )


def check_names_match_columns(featurizer, frames):
    """There is one name, and no name twice, for every column."""
    fresh = clone(featurizer).fit(frames)
    names = list(fresh.get_feature_names_out())
    n_columns = fresh.transform(frames).shape[1]
    if len(names) != n_columns:
        raise AssertionError(f"{len(names)} names for {n_columns} features.")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise AssertionError(f"Feature names occur twice: {twice[:3]}.")
    if not all(isinstance(name, str) for name in names):
        raise AssertionError("Feature names are not all strings.")


def check_features_vary(featurizer, frames):
    """The features say something: not all atoms get the same."""
    values = values_of(clone(featurizer).fit(frames).transform(frames))
    if not np.ptp(values, axis=0).any():
        raise AssertionError("All atoms of all frames get the same features.")


def check_order_of_training_frames(featurizer, frames):
    """Columns do not depend on the order of the frames in ``fit``."""
    forward, back = clone(featurizer).fit(frames), clone(featurizer).fit(frames[::-1])
    require_close(
        values_of(forward.transform(frames)),
        values_of(back.transform(frames)),
        "Features change with the order of the training frames",
    )


def check_ignored_species_are_absent(featurizer, frames):
    """With ``handle_unknown="ignore"``, strangers change nothing and feel no force."""
    if "handle_unknown" not in featurizer.get_params(deep=False):
        raise SkipTest("there is no handle_unknown")
    fitted = clone(featurizer).set_params(handle_unknown="ignore").fit(frames)
    symbol = chemical_symbols[stranger(frames)]
    if symbol in fitted.species_:
        raise SkipTest(f"{symbol} is listed in species")
    for s, atoms in enumerate(frames):
        more = atoms + Atoms(symbol, [atoms.positions[0] + [0.5, 0.6, 0.7]])
        X, expected = fitted.transform([more]), fitted.transform([atoms])
        what = f"known atoms of frame {s} change with an ignored {symbol}"
        require_close(X.values[:-1], expected.values, f"Features of {what}")
        g = np.ones_like(X.values)
        forces = X.pairs.forces(X.pullback(g))
        plain = expected.pairs.forces(expected.pullback(g[:-1]))
        scale = np.abs(expected.pullback(g[:-1])).sum()
        require_close(forces[:-1], plain, f"Forces on {what}", floor=scale + 1e-9)
        if forces[-1].any():
            raise AssertionError(f"An ignored {symbol} feels a force.")


def check_pandas_output_is_ignored(featurizer, frames):
    """Features of atoms stay what they are when scikit-learn is set to give tables."""
    with config_context(transform_output="pandas"):
        X = clone(featurizer).fit_transform(frames)
    if not isinstance(X, AtomFeatures):
        raise AssertionError(
            f"fit_transform gives {type(X).__name__} under set_config."
        )


def check_threads_agree(featurizer, frames):
    """``n_jobs=1`` and ``n_jobs=2`` give the same bits."""
    if not isinstance(featurizer, AtomFeaturizer):
        raise SkipTest("n_jobs is that of its steps, or starts processes")
    fitted = clone(featurizer).fit(frames)
    atoms = max(frames, key=lambda atoms: atoms.pbc.sum())
    if atoms.pbc.any():
        directions = atoms.pbc.sum()
        times = int(np.ceil((ATOMS_FOR_THREADS / len(atoms)) ** (1 / directions)))
        large = [atoms.repeat(tuple(np.where(atoms.pbc, times, 1)))]
    else:
        large = [atoms] * (ATOMS_FOR_THREADS // len(atoms) + 1)
    one = values_of(fitted.set_params(n_jobs=1).transform(large))
    two = values_of(fitted.set_params(n_jobs=2).transform(large))
    require_equal(two, one, "Features depend on n_jobs")


def check_parameters_are_read_in_fit(featurizer, frames):
    """``set_params`` changes nothing until the next ``fit``."""
    if not isinstance(featurizer, AtomFeaturizer):
        raise SkipTest("its steps are checked")
    fitted = clone(featurizer).fit(frames)
    before = _everything(fitted, frames)
    # not even a wrong value may be noticed
    fitted.set_params(**{p: None for p in fitted.get_params() if p not in LIVE})
    for what, value in _everything(fitted, frames).items():
        require_equal(value, before[what], f"{what} follow set_params without a fit")


def _everything(fitted, frames) -> dict:
    """Names, values and derivatives."""
    X = fitted.transform(frames)
    return {
        "Names": fitted.get_feature_names_out(),
        "Features": X.values,
        "Pullbacks": X.pullback(np.ones_like(X.values)),
        "Pushforwards": X.pushforward(np.ones_like(X.pairs.vectors)),
        "Jacobians": X.jacobian(0),
    }
