"""All judgements of labels, in the order in which one settles the next."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import numpy as np

from skatom.labels._first_fit import FirstFit, first_fit
from skatom.labels._forces import BIAS, judge_forces, line_of
from skatom.labels._geometry import judge_geometry, judge_odd_forces, judge_sign
from skatom.labels._mixed_units import judge_mixed_units
from skatom.labels._names import (
    judge_free_energies,
    judge_lost,
    judge_names,
    unread_energies,
)
from skatom.labels._rescaled import judge_scale
from skatom.labels._sizes import judge_sizes
from skatom.labels._stress import judge_stress
from skatom.labels.report import Finding, LabelReport, LabelWarning
from skatom.structures import Labels, Structures, read_labels

_JUDGED: ContextVar[bool] = ContextVar("judged", default=False)
PAST_FIT = 6  # frames between the warning and the caller of fit


@contextmanager
def already_judged() -> Iterator[None]:
    """Fit to what a base leaves of labels that were judged: their sizes mean nothing."""
    token = _JUDGED.set(True)
    try:
        yield
    finally:
        _JUDGED.reset(token)


def judge_fit(
    structures: Structures | None, y, labels: Labels | None, forces=None, stress=None
) -> None:
    """Judge what a model is about to be trained on.

    Parameters
    ----------
    structures : Structures or None
        None, for plain numbers, are not judged.
    y : ndarray of shape (n_structures,)
        Total energies in eV.
    labels : Labels or None
        Forces and stress to train on.
    forces, stress : str, sequence or None
        Where they were read from; None where they are not trained on.

    Raises
    ------
    ValueError
        If labels contradict each other with certainty: says the cause and what mends it.

    Warns
    -----
    LabelWarning
        If labels are doubtful.
    """
    if structures is None or not len(structures) or _JUDGED.get():
        return
    report = judge(structures, y, labels, forces, stress)
    for finding in report.warnings:
        warnings.warn(str(finding), LabelWarning, stacklevel=PAST_FIT)
    if report.errors:
        raise ValueError(" ".join(map(str, report.errors)))


def judge(
    structures: Structures,
    y: np.ndarray,
    labels: Labels | None,
    forces,
    stress,
    *,
    look_for_lost: bool = False,
) -> LabelReport:
    """Judge labels; see :func:`~skatom.labels.check_labels`."""
    labels = labels or read_labels(structures, forces=None)
    findings, known = [], []
    if np.isfinite(y).all():
        findings += judge_mixed_units(structures, y)
    else:
        findings += unread_energies(structures, np.isfinite(y))
    findings += judge_names(structures, labels, forces, stress)
    if look_for_lost and isinstance(forces, str) and forces == "auto":
        findings += judge_lost(structures, labels.has_forces)
    wrong, fit, settled = False, None, False
    if labels.has_forces.any():
        found, told, fit, settled = _judge_forces(structures, y, labels, forces)
        wrong = bool(found)
        findings += found
        known += told
        findings += judge_free_energies(structures, y, labels)
    elif labels.has_stress.any():
        findings += judge_scale(y, structures)
    if not settled and np.isfinite(y).all():
        findings += judge_sizes(structures, y)
    if labels.has_stress.any() and not wrong:
        contradictions, told = judge_stress(structures, y, labels, fit, by_forces=True)
        findings += contradictions
        known += told
    findings.sort(key=lambda finding: finding.severity)
    return LabelReport(tuple(findings), tuple(known), len(structures))


def _judge_forces(
    structures: Structures, y: np.ndarray, labels: Labels, source
) -> tuple[list[Finding], list[str], FirstFit | None, bool]:
    """Judge forces by themselves, then against energies, then y against stored ones.

    Returns
    -------
    findings : list of Finding
    known : list of str
    fit : FirstFit or None
    settled : bool
        Whether these findings, or the slope, have settled what energies are.
    """
    fit = first_fit(structures, labels.forces, labels.has_forces)
    contradictions, told, slope = judge_forces(structures, y, labels, source)
    amiss = judge_geometry(structures, labels, fit)
    if amiss:  # then a slope has no meaning, but one that is wrong is certain
        sure = "error" if contradictions else "warning"
        amiss = [replace(finding, severity=sure) for finding in amiss]
    scale = _scale(structures, y, labels, source, slope)
    # what stored energies explain is more than what a slope can say
    findings = scale or amiss or contradictions
    if not findings and fit is not None:
        findings = judge_odd_forces(fit)
        if not findings and not slope.known:
            findings = judge_sign(fit, line_of(structures, source))
    return findings, told, fit, bool(findings) or slope.known


def _scale(structures, y, labels: Labels, source, slope) -> list[Finding]:
    """Compare y with stored energies, where forces are stored beside them."""
    if not np.isfinite(y).all():
        return []
    if not isinstance(source, str) or source not in ("auto", "calc"):
        stored = read_labels(structures)
        if not np.allclose(stored.forces, labels.forces, rtol=1e-6, atol=1e-8):
            agree = slope.known and slope.may_be(1.0, BIAS)
            return [] if agree else judge_scale(y, structures, stored=False)
    return judge_scale(y, structures)
