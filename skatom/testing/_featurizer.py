"""All checks of a featurizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial

from ase import Atoms

from skatom.structures._samples import check_frames
from skatom.testing import (
    _contract,
    _featurizer_contract,
    _featurizer_derivatives,
    _featurizer_invariances,
    _inputs,
)
from skatom.testing._report import CheckReport, checks_of, run_checks
from skatom.testing._subject import Subject


def featurizer_checks(
    featurizer, frames: Sequence[Atoms] | None = None
) -> Iterator[partial]:
    """Yield every check of a per-atom featurizer, to be called without arguments.

    Parameters
    ----------
    featurizer : AtomFeaturizer
        Unfitted; every check works on clones.
    frames : sequence of ase.Atoms, optional
        Structures to check with, by default :func:`check_frames`. Checks that need
        periodic structures are skipped when there are none.

    Yields
    ------
    check : functools.partial
        Raises AssertionError with a sentence, or unittest.SkipTest where it does not
        apply. Its name is ``check.func.__name__``.

    Examples
    --------
    >>> from skatom.featurizers import ACSF
    >>> from skatom.testing import featurizer_checks
    >>> checks = {c.func.__name__: c for c in featurizer_checks(ACSF(r_cut=4.0))}
    >>> checks["check_rotation"]()
    """
    frames = list(check_frames() if frames is None else frames)
    subject = Subject(featurizer, frames)
    for module, what in (
        (_contract, subject),
        (_featurizer_contract, featurizer),
        (_inputs, subject),
        (_featurizer_invariances, featurizer),
        (_featurizer_derivatives, featurizer),
    ):
        for check in checks_of(module):
            # copies: what one check does to frames must not hide it from the next
            yield partial(check, what, deepcopy(frames))


def check_featurizer(featurizer, frames: Sequence[Atoms] | None = None) -> CheckReport:
    """Check a featurizer of your own as those of skatom are checked.

    The contract with scikit-learn and the models, equal results for every kind of
    input, invariance to everything that leaves a structure what it is, and derivatives
    against each other and against central differences.

    Parameters
    ----------
    featurizer : AtomFeaturizer
        Unfitted; every check works on clones.
    frames : sequence of ase.Atoms, optional
        Structures to check with, by default :func:`check_frames` of H, O and Cu. Give
        your own for a featurizer that takes certain structures only.

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
    check_regressor : The same for models.
    parametrize_with_checks : One pytest test for every check.

    Examples
    --------
    >>> from skatom.featurizers import ACSF
    >>> from skatom.testing import check_featurizer
    >>> print(check_featurizer(ACSF(r_cut=4.0, n_radial=4, zetas=(1, 2))))
    40 checks passed
    """
    return run_checks(type(featurizer).__name__, featurizer_checks(featurizer, frames))
