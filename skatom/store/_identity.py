"""Identity of a store's featurizer: parameters, fitted numbers, and their hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from numbers import Real

import joblib
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from skatom._validation import listing

# What changes how features are computed, or tells where they were fitted, and not what
# they are.
NEUTRAL = {
    "n_jobs", "verbose", "memory", "max_memory", "transform_input", "fitted_on_",
}  # fmt: skip
# Fitted attributes that only count what was seen.
COUNTS = ("n_samples_seen_", "n_samples_", "n_features_in_", "n_atom_features_")
# Longer texts are replaced by their hash.
LONGEST = 60


def describe(featurizer) -> dict[str, str]:
    """Name and write all parameters and fitted attributes of a featurizer.

    Parameters
    ----------
    featurizer : transformer
        Fitted; a pipeline is described step by step, whatever its steps are called.

    Returns
    -------
    description : dict of str to str
        Such as ``{"ACSF.r_cut": "6.0", "PerAtom.transformers_['all'].mean_": ...}``.
        Numbers are written so that equal ones have equal texts, and long texts and
        arrays are replaced by their hash.
    """
    description: dict[str, str] = {}
    for step in _steps(featurizer):
        name = type(step).__name__
        if name in description:
            name += f"#{1 + sum(key.startswith(name) for key in description)}"
        _describe(step, name, description)
    return description


def parameter_hash(description: Mapping[str, str]) -> str:
    """Hash a description, 32 hexadecimal digits."""
    text = json.dumps(dict(description), sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def difference(stored: Mapping[str, str], given: Mapping[str, str]) -> str | None:
    """Say in which parameter two descriptions differ, None if in none."""
    keys = [key for key in {**stored, **given} if stored.get(key) != given.get(key)]
    if not keys:
        return None
    # a parameter that the user set explains the fitted numbers that follow from it
    keys.sort(key=lambda key: (_is_learned(key), key.endswith(COUNTS), key.count(".")))
    first = keys[0]
    texts = [which.get(first, "nothing of that name") for which in (stored, given)]
    more = f" (also different: {listing(keys[1:], 4)})" if len(keys) > 1 else ""
    return f"{first} = {texts[0]}, and this featurizer has {texts[1]}{more}"


def _is_learned(key: str) -> bool:
    """Whether a part of the name is a fitted attribute."""
    return any(part.split("[")[0].endswith("_") for part in key.split("."))


def _steps(featurizer) -> list:
    if not isinstance(featurizer, Pipeline):
        return [featurizer]
    inner = [step for _, step in featurizer.steps]
    return [one for step in inner if step not in (None, "passthrough")
            for one in _steps(step)]  # fmt: skip


def _describe(value, name: str, out: dict[str, str]) -> None:
    """Write a value, and what is inside, under its name."""
    if isinstance(value, BaseEstimator):
        out[name] = type(value).__name__
        parts = value.get_params(deep=False)
        fitted = {k: v for k, v in vars(value).items() if _is_fitted_attribute(k)}
        for key, part in {**parts, **fitted}.items():
            if key not in NEUTRAL:
                _describe(part, f"{name}.{key}", out)
    elif isinstance(value, Mapping):
        for key in sorted(value, key=repr):
            _describe(value[key], f"{name}[{key!r}]", out)
    elif isinstance(value, list | tuple) and _holds_estimators(value):
        for k, part in enumerate(value):
            _describe(part, f"{name}[{k}]", out)
    else:
        out[name] = _text(value)


def _is_fitted_attribute(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_")


def _holds_estimators(value) -> bool:
    if isinstance(value, list | tuple):
        return any(_holds_estimators(part) for part in value)
    return isinstance(value, BaseEstimator)


def _text(value) -> str:
    """Write a value so that equal ones have equal texts."""
    if isinstance(value, np.ndarray) and value.dtype != object and value.size > 10:
        digest = blake2b(np.ascontiguousarray(value).tobytes(), digest_size=8)
        return f"{value.dtype} array of shape {value.shape}, {digest.hexdigest()}"
    text = repr(_plain(value))
    if len(text) <= LONGEST:
        return text
    digest = blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{type(value).__name__} {digest}"


def _plain(value):
    """Reduce numbers, sequences and objects to what has one way to be written."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(part) for part in value), key=repr)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return f"{type(value).__name__} {joblib.hash(value)}"
