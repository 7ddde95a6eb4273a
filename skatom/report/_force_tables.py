"""Table of forces: components, vectors, elements, whole structures."""

from __future__ import annotations

import numpy as np

from skatom.report._bootstrap import bootstrap
from skatom.report._observe import ForceObservations
from skatom.report._tables import Table


def forces(seen: ForceObservations, level: float, draws_of) -> Table:
    """Give coverage of forces, averaged over structures, which are drawn again.

    Parameters
    ----------
    seen : ForceObservations
    level : float
    draws_of : callable
        Draws of so many structures.
    """
    frames, errors = seen.structures, seen.errors
    rows = [
        _row("components", errors, seen.half_widths["component"], draws_of),
        _row(
            "components, all at once", errors,
            seen.half_widths["all components at once"], draws_of, np.all,
        ),
        _row(
            "vectors", [np.linalg.norm(e, axis=1) for e in errors],
            seen.half_widths["vector"], draws_of,
        ),
    ]  # fmt: skip
    for symbol in sorted({s for atoms in frames for s in atoms.symbols}):
        own = [np.array(atoms.symbols) == symbol for atoms in frames]
        kept = [s for s, mask in enumerate(own) if mask.any()]
        half = seen.half_widths["component by element"]
        rows.append(
            _row(
                f"components of {symbol}, calibrated by element",
                [errors[s][own[s]] for s in kept],
                [half[s][own[s]] for s in kept],
                draws_of,
            )
        )
    rows[3:] = sorted(rows[3:], key=lambda row: row[1].value)
    columns = [
        "what",
        f"share inside at {level:g}",
        "half-width (meV/Å)",
        "MAE (meV/Å)",
    ]
    note = (
        "Shares are averaged over structures, which the guarantee is about: a component "
        "drawn at random from a new structure, or all of them at once."
    )
    return Table("Forces", columns, rows, note)


def _row(name, errors, half_widths, draws_of, reduce=np.mean) -> list:
    inside = np.array(
        [reduce(np.abs(e) <= h) for e, h in zip(errors, half_widths)], dtype=float
    )
    return [
        name,
        bootstrap(np.mean, [inside], draws_of(len(inside))),
        1e3 * float(np.mean(np.concatenate([np.ravel(h) for h in half_widths]))),
        1e3 * float(np.mean(np.abs(np.concatenate([np.ravel(e) for e in errors])))),
    ]
