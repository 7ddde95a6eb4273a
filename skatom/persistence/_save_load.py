"""Save and load: what is stored, what is trusted, what a file says about itself."""

from __future__ import annotations

import hashlib
import os
import platform
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from ase.calculators.calculator import BaseCalculator
from sklearn.base import BaseEstimator

from skatom._runtime.state import CALCULATORS, StateError, apart
from skatom._runtime.whole_files import write_atomically
from skatom._validation import listing
from skatom.base._inside import walk
from skatom.persistence._archive import (
    ESTIMATOR,
    FORMAT,
    FORMAT_VERSION,
    pack,
    unpack,
)
from skatom.persistence._names import with_public_names
from skatom.persistence._states import check_states
from skatom.persistence._trusted import TRUSTED

UNITS = {"length": "Å", "energy": "eV", "forces": "eV/Å", "stress": "eV/Å³"}
_PACKAGES = ("skatom", "scikit-learn", "numpy", "scipy", "ase", "torch", "skops")


def save(estimator: BaseEstimator, path: str | os.PathLike) -> Path:
    """Write an estimator to one checksummed file.

    Parameters
    ----------
    estimator : estimator
        Of skatom or scikit-learn, alone or in a pipeline, usually fitted.
    path : path-like
        File to write; the folder must exist. An existing file is replaced only when the
        new one is complete on disk. The customary suffix is ``.skatom``.

    Returns
    -------
    path : pathlib.Path
        The file that was written.

    Raises
    ------
    TypeError
        If there is no estimator, or it holds something that cannot be stored.
    ImportError
        If skops is not installed.
    OSError
        If the file cannot be written; an existing file is then still the old one.

    Warns
    -----
    UserWarning
        If the estimator holds classes that `load` will not build without being told to.

    See Also
    --------
    load : The reverse.
    read_manifest : What a file says about itself.

    Examples
    --------
    >>> import tempfile
    >>> from ase.build import molecule
    >>> from skatom.featurizers import ACSF
    >>> from skatom.persistence import load, save
    >>> acsf = ACSF(r_cut=4.0).fit([molecule("H2O")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(acsf, f"{folder}/water.skatom")
    ...     load(path).species_
    ['H', 'O']
    """
    if not isinstance(estimator, BaseEstimator) or isinstance(estimator, type):
        raise TypeError(
            f"save stores estimators, not {type(estimator).__name__}: give a fitted "
            "pipeline or model."
        )
    skops_io = _skops()
    _refuse_calculators(estimator)
    try:
        body = with_public_names(
            skops_io.dumps(estimator, compression=zipfile.ZIP_DEFLATED)
        )
    except Exception as error:  # skops lets through whatever the state raises
        raise TypeError(
            f"{type(estimator).__name__} holds something that cannot be stored: {error}"
        ) from error
    foreign = _foreign(skops_io.get_untrusted_types(data=body))
    if foreign:
        warnings.warn(
            f"The estimator holds {listing(foreign)}, which load() builds only when "
            f"told to: load(path, trusted={foreign!r}).",
            stacklevel=2,
        )
    manifest = _manifest(estimator, body, foreign)
    path = Path(path)
    write_atomically(path, pack(manifest, body))
    return path


def _refuse_calculators(estimator: BaseEstimator) -> None:
    """Refuse calculators that cannot be built from their parameters."""
    held = (
        (part, name, value)
        for part in walk(estimator)
        for name, given in vars(part).items()
        for value in (given if isinstance(given, list | tuple) else [given])
    )
    for part, name, value in held:
        if isinstance(value, BaseCalculator) and value is apart(value):
            known = listing(path.rpartition(".")[2] for path in CALCULATORS)
            raise TypeError(
                f"{name} of {type(part).__name__} is the ASE calculator "
                f"{type(value).__name__}, which a model file cannot hold: it keeps those "
                f"that are built from numbers alone ({known}). Use one of these, a named "
                "base or an estimator, or pickle for files of your own."
            )


def load(
    path: str | os.PathLike, *, trusted: bool | Sequence[str] = False
) -> BaseEstimator:
    """Load an estimator from a file that `save` wrote, without running code from it.

    Parameters
    ----------
    path : path-like
    trusted : bool or sequence of str, default=False
        Names of further classes that may be built, such as
        ``["mypackage.features.MyFeaturizer"]``. True allows every class that the file
        names: use it only for files of your own, since building an arbitrary class can
        run arbitrary code.

    Returns
    -------
    estimator : estimator
        Predicts exactly what the saved one did.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, altered, written by another program or by a newer
        format, or names classes that are not trusted.

    Warns
    -----
    UserWarning
        If another version of skatom or scikit-learn wrote the file.

    See Also
    --------
    save : The reverse.

    Examples
    --------
    See `save`.
    """
    path = Path(path)
    manifest, body = unpack(path)
    skops_io = _skops()
    with _in_words(path):
        unknown = _foreign(skops_io.get_untrusted_types(data=body))
    refused = [] if trusted is True else sorted(set(unknown) - set(trusted or ()))
    if refused:
        raise ValueError(
            f"{path} names {listing(refused)}, which load() does not build unasked, since "
            "a forged file could run code or end the interpreter by it; nothing was built. "
            f"If you know where the file comes from, pass load(path, trusted={refused!r})."
        )
    _warn_other_versions(path, manifest)
    with _in_words(path):
        estimator = skops_io.loads(body, trusted=[*TRUSTED, *unknown])
    if not isinstance(estimator, BaseEstimator):
        raise ValueError(
            f"{path} holds {type(estimator).__name__} in place of an estimator: it was "
            "altered. Get a new copy."
        )
    with _in_words(path):
        check_states(estimator)
    return estimator


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a state is built into one sentence.

    Advice of other packages, to unpickle for one, is not passed on.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{path} names something of the package {error.name!r}, which is not "
            "installed here: install it, or load the file where it is."
        ) from error
    except ImportError:  # says what to install
        raise
    except Exception as error:  # a forged file can make constructors raise anything
        reason = error if isinstance(error, StateError) else type(error).__name__
        raise ValueError(
            f"The estimator in {path} cannot be built, because its state is damaged or "
            f"forged ({reason}). Get a new copy, or save the estimator anew."
        ) from error


def read_manifest(path: str | os.PathLike) -> dict:
    """Read what a model file says about itself; nothing is built.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    manifest : dict
        With keys ``format_version``, ``created``, ``estimator``, ``steps``, ``species``,
        ``units``, ``versions`` and ``members`` (size and sha256 of each).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is truncated, altered or of another kind.
    """
    return unpack(Path(path))[0]


def _skops():
    try:
        import skops.io
    except ImportError:
        raise ImportError(
            "Model files are written with skops, which is not installed: "
            'pip install "skatom[share]".'
        ) from None
    return skops.io


def _foreign(untrusted: Sequence[str]) -> list[str]:
    return sorted(set(untrusted) - set(TRUSTED))


# -- manifest --------------------------------------------------------------------------


def _manifest(estimator: BaseEstimator, body: bytes, foreign: list[str]) -> dict:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "estimator": type(estimator).__name__,
        "steps": list(dict.fromkeys(type(p).__name__ for p in walk(estimator))),
        "species": _species(estimator),
        "units": UNITS,
        "versions": {"python": platform.python_version(), **_versions()},
        "other_classes": foreign,
        "members": {
            ESTIMATOR: {
                "size": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
            }
        },
    }


def _versions() -> dict[str, str | None]:
    """Installed versions, read without importing the packages."""
    found: dict[str, str | None] = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _species(estimator: BaseEstimator) -> list[str] | None:
    """Chemical symbols that the first fitted part with species knows."""
    for part in walk(estimator):
        species = getattr(part, "species_", None)
        if species is not None:
            return [str(symbol) for symbol in np.asarray(species).ravel()]
    return None


def _warn_other_versions(path: Path, manifest: dict) -> None:
    now = _versions()
    then = manifest.get("versions", {})
    changed = [
        f"{package} {then.get(package)} (here {now[package]})"
        for package in ("skatom", "scikit-learn")
        if then.get(package) != now[package]
    ]
    if changed:
        warnings.warn(
            f"{path} was written with {listing(changed)}. Predict something whose result "
            "you know: if it is the same, save the estimator again and this warning ends; "
            "if not, install the versions of the file, or fit anew.",
            stacklevel=3,
        )
