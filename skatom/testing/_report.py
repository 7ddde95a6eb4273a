"""Run checks one by one and say which failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from unittest import SkipTest


@dataclass(frozen=True)
class CheckReport:
    """Names of the checks that were passed, and of those that did not apply.

    Attributes
    ----------
    passed : list of str
    skipped : dict of str to str
        Name and reason.
    """

    passed: list[str]
    skipped: dict[str, str]

    def __str__(self) -> str:
        text = f"{len(self.passed)} checks passed"
        if self.skipped:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.skipped.items())
            text += f", {len(self.skipped)} did not apply ({reasons})"
        return text


def run_checks(subject: str, checks: Iterable[Callable[[], None]]) -> CheckReport:
    """Run all checks, and raise one AssertionError that names those that failed.

    Parameters
    ----------
    subject : str
        What is checked, for the message.
    checks : iterable of callable
        Partial functions; their names are those of the functions inside.

    Returns
    -------
    report : CheckReport
    """
    passed: list[str] = []
    skipped: dict[str, str] = {}
    failed: dict[str, Exception] = {}
    for check in checks:
        name = check_name(check)
        try:
            check()
        except SkipTest as reason:
            skipped[name] = str(reason)
        except Exception as error:
            failed[name] = error
        else:
            passed.append(name)
    if failed:
        lines = [f"- {name}: {_sentence(error)}" for name, error in failed.items()]
        total = len(passed) + len(failed)
        raise AssertionError(
            "\n".join([f"{subject} fails {len(failed)} of {total} checks:", *lines])
        ) from next(iter(failed.values()))
    return CheckReport(passed, skipped)


def checks_of(module: ModuleType) -> list[Callable]:
    """Functions that a module defines as ``check_...``, in the order of its text."""
    return [
        member
        for name, member in vars(module).items()
        if name.startswith("check_") and member.__module__ == module.__name__
    ]


def check_name(check) -> str:
    """Name of a check inside a partial function."""
    return getattr(check, "func", check).__name__


def _sentence(error: Exception) -> str:
    kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
    return kind + str(error)
