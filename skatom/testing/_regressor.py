"""All checks of a model of energies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial

import numpy as np
from ase import Atoms
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skatom.base import AtomicRegressor
from skatom.structures import read_energies
from skatom.structures._samples import check_frames, with_labels
from skatom.testing import _contract, _inputs, _regressor_contract, _regressor_physics
from skatom.testing._comparisons import Limits
from skatom.testing._report import CheckReport, checks_of, run_checks
from skatom.testing._subject import Subject


def regressor_checks(
    regressor,
    frames: Sequence[Atoms] | None = None,
    y=None,
    *,
    featurizer=None,
    extensive: bool = True,
    precision: str = "float64",
) -> Iterator[partial]:
    """Yield every check of a model, to be called without arguments.

    Parameters
    ----------
    regressor, frames, y, featurizer, extensive, precision
        As in :func:`check_regressor`.

    Yields
    ------
    check : functools.partial
        Raises AssertionError with a sentence, or unittest.SkipTest where it does not
        apply. Its name is ``check.func.__name__``.

    Examples
    --------
    >>> from skatom.models import AtomicRidge
    >>> from skatom.testing import regressor_checks
    >>> checks = {c.func.__name__: c for c in regressor_checks(AtomicRidge())}
    >>> checks["check_forces_match_differences"]()
    """
    frames = list(with_labels(check_frames()) if frames is None else frames)
    y = read_energies(frames) if y is None else np.asarray(y)
    subject = Subject(_on_structures(regressor, featurizer), frames, y)
    limits = Limits(extensive=extensive)
    if precision == "float32":
        limits = Limits(1e-4, 1e-4, 1e-2, 1e-2, 1e-2, extensive)
    # copies: what one check does to frames must not hide it from the next
    for module in (_contract, _inputs, _regressor_contract):
        for check in checks_of(module):
            yield partial(check, subject, deepcopy(frames), y.copy())
    for check in checks_of(_regressor_physics):
        yield partial(check, subject, deepcopy(frames), y.copy(), limits)


def check_regressor(
    regressor,
    frames: Sequence[Atoms] | None = None,
    y=None,
    *,
    featurizer=None,
    extensive: bool = True,
    precision: str = "float64",
) -> CheckReport:
    """Check a model or a pipeline of your own as those of skatom are checked.

    The contract with scikit-learn, equal results for every kind of input, energies that
    do not change with the way a structure is written, and forces, stress and energies
    of atoms against central differences and sums.

    Parameters
    ----------
    regressor : estimator
        Unfitted; every check works on clones. Either an estimator of structures, such as
        a Pipeline that starts with a featurizer, or an `AtomicRegressor`, which gets
        ``featurizer`` and a scaler in front.
    frames : sequence of ase.Atoms, optional
        Structures to fit and predict, by default :func:`check_frames` of H, O and Cu,
        with labels of ASE's EMT.
    y : array-like of shape (n_structures,), optional
        Targets, by default the energies stored with the frames.
    featurizer : AtomFeaturizer, optional
        For a model of features, by default a small `ACSF`.
    extensive : bool, default=True
        Whether y adds up over parts of a system, as energies do.
    precision : {"float64", "float32"}, default="float64"
        Arithmetic of the model, which sets how near results must be.

    Returns
    -------
    report : CheckReport
        What was checked and what did not apply.

    Raises
    ------
    AssertionError
        With a line for every check that failed.

    See Also
    --------
    check_featurizer : The same for featurizers.
    parametrize_with_checks : One pytest test for every check.

    Examples
    --------
    >>> from skatom.models import AtomicRidge
    >>> from skatom.testing import check_regressor
    >>> print(check_regressor(AtomicRidge()))
    35 checks passed
    """
    checks = regressor_checks(
        regressor, frames, y,
        featurizer=featurizer, extensive=extensive, precision=precision,
    )  # fmt: skip
    return run_checks(type(regressor).__name__, checks)


def _on_structures(regressor, featurizer):
    if not isinstance(regressor, AtomicRegressor):
        return regressor
    from skatom.featurizers import ACSF
    from skatom.preprocessing import PerAtom

    if featurizer is None:
        featurizer = ACSF(r_cut=4.0, n_radial=4, n_angular=2, zetas=(1, 2))
    return make_pipeline(featurizer, PerAtom(StandardScaler()), regressor)
