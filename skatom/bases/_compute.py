"""Results of bases for many structures: looked up, else computed, in parallel."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from weakref import WeakKeyDictionary

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController

from skatom._runtime.memory import parse_bytes
from skatom._runtime.progress import Progress
from skatom.bases._base import Base, BaseError
from skatom.bases._results import Results, Shelf, is_whole
from skatom.structures import Structures

KEPT = ("energy", "forces", "stress", "energies")
ASK = {
    "energy": "get_potential_energy",
    "forces": "get_forces",
    "stress": "get_stress",
    "energies": "get_potential_energies",
}
CHUNKS_A_JOB = 8
# A hash, or the place in X of what cannot be told apart and is kept by nobody.
Key = str | int
# Calculators at work, one a thread and base; never pickled with the base.
_AT_WORK = threading.local()


@dataclass(frozen=True)
class Means:
    """How results are come by.

    Attributes
    ----------
    n_jobs : int or None
        Processes, as in joblib.
    memory : str, os.PathLike, joblib.Memory or None
        Folder that keeps results.
    max_memory : float or str
        Bytes that kept results may take, in memory and in the folder each.
    verbose : int
        Whether progress is shown.
    """

    n_jobs: int | None = None
    memory: object = None
    max_memory: float | str = "1GB"
    verbose: int = 0


def results_of(
    base: Base, X: Structures, names: Sequence[str], means: Means
) -> list[Results | str]:
    """Give what a base says of structures, each computed once.

    Parameters
    ----------
    base : Base
    X : Structures
    names : sequence of {"energy", "forces", "stress", "energies"}
        What is asked for. What comes with it is kept too.
    means : Means

    Returns
    -------
    results : list of (dict of str to ndarray) or str
        In eV, eV/Å and eV/Å³; a text says why there are none.

    Raises
    ------
    ValueError
        If the base does not give every property that is asked for.
    """
    identity = _worker(base)[1]
    shelf = Shelf(parse_bytes(means.max_memory), means.memory)
    keys = [_key(identity, base.content(atoms)) or s for s, atoms in enumerate(X)]
    known: dict[Key, Results | str] = {}
    missing: dict[Key, Atoms] = {}
    for key, atoms in zip(keys, X):
        found = shelf.get(key, len(atoms), names) if isinstance(key, str) else None
        if found is None:
            missing[key] = atoms
        else:
            known[key] = found
    for key, results in _computed(base, missing, names, means):
        known[key] = results
        if isinstance(key, str):
            shelf.add(key, results)
    return [known[key] for key in keys]


def refuse_failures(base: Base, X: Structures, results: list[Results | str]) -> None:
    """Refuse structures that a base gives nothing for.

    Raises
    ------
    BaseError
        Names the first of them, how many there are, and what helps.
    """
    failed = [s for s, found in enumerate(results) if isinstance(found, str)]
    if failed:
        raise BaseError(why(base, X, results, failed))


def why(base: Base, X: Structures, results: list[Results | str], failed) -> str:
    """Say of the first failure where, why, and what helps."""
    s, reason = failed[0], results[failed[0]]
    more = f" ({len(failed) - 1} more fail)" if len(failed) > 1 else ""
    return (
        f"The {base.label} failed for structure {s} ({X[s].get_chemical_formula()}): "
        f"{reason.rstrip('.')}.{more} {base.remedy(reason)}"
    )


def _computed(base, missing, names, means) -> Iterator[tuple[Key, Results | str]]:
    """Compute structures in chunks, in processes where there are several."""
    keys, frames = list(missing), list(missing.values())
    n_jobs = min(effective_n_jobs(means.n_jobs), len(frames)) if frames else 1
    size = max(1, len(frames) // (CHUNKS_A_JOB * n_jobs))
    chunks = [frames[k : k + size] for k in range(0, len(frames), size)]
    shown = bool(means.verbose) and bool(frames)
    with Progress(base.label, len(frames), "structures", shown) as progress:
        if n_jobs == 1:
            done = (_of_chunk(base, chunk, names) for chunk in chunks)
        else:
            done = Parallel(n_jobs=n_jobs, return_as="generator")(
                delayed(_of_chunk)(base, chunk, names) for chunk in chunks
            )
        k = 0
        for chunk in done:
            yield from zip(keys[k : k + len(chunk)], chunk)
            k += len(chunk)
            progress.advance(len(chunk))


def _of_chunk(base: Base, frames: list[Atoms], names) -> list[Results | str]:
    worker = _worker(base)[0]
    with _openmp(base.package).limit(limits=1):
        return [_of_one(base, worker, atoms, names) for atoms in frames]


def _of_one(base: Base, worker, atoms: Atoms, names) -> Results | str:
    """Ask a calculator about a copy of one structure, or say why it gives nothing."""
    reason = base.refusal(atoms)
    if reason is not None:
        return reason
    copy = base.prepared(atoms)
    if hasattr(worker, "reset"):
        # tight binding would start from the structure before, and results differ by
        # 1e-9 eV from order to order; another charge in info is no change to ASE
        worker.reset()
    copy.calc = worker
    asked = {}
    try:
        for name in sorted(
            names, key=KEPT.index, reverse=True
        ):  # forces bring energies
            found = getattr(worker, "results", {}).get(name)
            if found is None or name == "stress":  # in whatever order it is stored
                found = getattr(copy, ASK[name])()
            asked[name] = found
    except PropertyNotImplementedError as error:
        raise ValueError(
            f"The {base.label} does not give every property that is asked for "
            f"({error}): use another base, or ask for less."
        ) from error
    except Exception as error:  # calculators raise anything
        return str(error) or type(error).__name__
    results = getattr(worker, "results", {})
    by_the_way = {k: results[k] for k in KEPT if results.get(k) is not None}
    results = {
        k: np.array(v, dtype=np.float64) for k, v in (by_the_way | asked).items()
    }
    if not is_whole(results, len(atoms)):
        results = {k: results[k] for k in names}  # some calculators leave more, crudely
        if not is_whole(results, len(atoms)):
            return f"its {', '.join(names)} are NaN, infinite or of a wrong shape"
    for value in results.values():
        value.flags.writeable = False
    return results


def _worker(base: Base) -> tuple[object, str | None]:
    """Give the calculator of a base in this thread, and the identity of the base."""
    if not hasattr(_AT_WORK, "of"):
        _AT_WORK.of = WeakKeyDictionary()
    if base not in _AT_WORK.of:
        _AT_WORK.of[base] = base.calculator(), base.identity()
    return _AT_WORK.of[base]


def _key(identity: str | None, content: str | None) -> str | None:
    if identity is None or content is None:
        return None
    return blake2b(f"{identity} {content}".encode(), digest_size=16).hexdigest()


@cache
def _openmp(package: str) -> ThreadpoolController:
    """Control the threads of libraries that are loaded once the package is."""
    return ThreadpoolController().select(user_api="openmp")
