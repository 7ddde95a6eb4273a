"""Findings about labels, and the report that lists them."""

from __future__ import annotations

from dataclasses import dataclass

from skatom._validation import listing


class LabelWarning(UserWarning):
    """Labels are doubtful, but may be right."""


@dataclass(frozen=True)
class Finding:
    """Finding about labels that are wrong, or look so.

    Attributes
    ----------
    severity : {"error", "warning"}
        An error is a certain contradiction, which fits refuse; a warning may be right.
    about : {"energies", "forces", "stress"}
    what : str
        What was found.
    cause : str
        The likely cause.
    remedy : str
        What mends it, with the line of code where there is one.
    where : tuple of int
        Structures that it was seen at; empty where it is about all of them.

    Examples
    --------
    >>> from skatom.labels import Finding
    >>> print(Finding("warning", "forces", "All are 0", "they were lost", "Look again."))
    All are 0: they were lost. Look again.
    """

    severity: str
    about: str
    what: str
    cause: str
    remedy: str
    where: tuple[int, ...] = ()

    def __str__(self) -> str:
        cause = f": {self.cause}" if self.cause else ""
        return f"{self.what}{cause}. {self.remedy}"


@dataclass(frozen=True)
class LabelReport:
    """Report of :func:`~skatom.labels.check_labels`; print it.

    Attributes
    ----------
    findings : tuple of Finding
        Errors first.
    known : tuple of str
        What was measured, and what these structures cannot show.
    n_structures : int

    Examples
    --------
    >>> from skatom.labels import LabelReport
    >>> print(LabelReport((), ("Forces against energies: slope 1.01.",), 20))
    Labels of 20 structures: no contradiction
      Forces against energies: slope 1.01.
    """

    findings: tuple[Finding, ...]
    known: tuple[str, ...]
    n_structures: int

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Certain contradictions, which fits refuse."""
        return tuple(f for f in self.findings if f.severity == "error")

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Doubtful labels, which fits warn of."""
        return tuple(f for f in self.findings if f.severity == "warning")

    def __str__(self) -> str:
        counts = f"{len(self.errors)} errors, {len(self.warnings)} warnings"
        lines = [
            f"Labels of {self.n_structures} structures: "
            + (counts if self.findings else "no contradiction")
        ]
        for finding in self.findings:
            lines.append(f"  {finding.severity}: {finding}")
            if finding.where:
                lines.append(f"    structures {listing(finding.where)}")
        return "\n".join(lines + [f"  {text}" for text in self.known])
