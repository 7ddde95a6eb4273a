"""The one door to DScribe: structures in, plain arrays out.

DScribe's extensions take wrapped atoms and finite numbers for granted, and with ASE from
3.27 on its own structure class cannot be made. Whatever it needs is seen to here.
"""

from __future__ import annotations

from functools import cache
from types import FunctionType

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell
from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel, delayed

from skatom.neighbors import COINCIDENT, neighbor_pairs
from skatom.structures import Structures


def descriptor_class(name: str) -> type:
    """Give a descriptor class of DScribe that works with any ASE.

    Parameters
    ----------
    name : str
        Name in ``dscribe.descriptors``.

    Returns
    -------
    cls : type
        Subclass of DScribe's, which itself stays as it is.

    Raises
    ------
    ImportError
        If DScribe is not installed.
    """
    try:
        import dscribe.descriptors
    except ImportError as error:
        raise ImportError(
            f"{name} is computed by DScribe, which cannot be imported ({error}). Install "
            'it with: pip install "skatom[dscribe]"'
        ) from error
    return _adapted(getattr(dscribe.descriptors, name))


def describe(
    name: str,
    parameters: dict,
    structures: Structures,
    *,
    method: str = "create_single",
    options: dict | None = None,
    n_jobs: int | None = None,
) -> list[np.ndarray]:
    """Compute a descriptor of every structure.

    Parameters
    ----------
    name : str
        Name in ``dscribe.descriptors``.
    parameters : dict
        Of its constructor.
    structures : Structures
        Checked structures. They are copied and wrapped into their cells.
    method : str, default="create_single"
        Method of the descriptor to call with each structure.
    options : dict, optional
        Further arguments of the method.
    n_jobs : int, optional
        Number of processes, each of which gets one block of structures.

    Returns
    -------
    values : list of ndarray
        What the method gives, one array a structure.
    """
    descriptor_class(name)  # missing packages are found here, not in a worker
    neighbor_pairs(structures, COINCIDENT)  # refuses atoms at the same place
    n_jobs = min(effective_n_jobs(n_jobs), max(1, len(structures)))
    task = (name, parameters, method, options or {})
    if n_jobs == 1:
        return _work(*task, structures)
    edges = np.linspace(0, len(structures), n_jobs + 1).astype(int)
    blocks = Parallel(n_jobs=n_jobs)(
        delayed(_work)(*task, structures[start:stop])
        for start, stop in zip(edges[:-1], edges[1:])
    )
    return [values for block in blocks for values in block]


def _work(name, parameters, method, options, structures) -> list[np.ndarray]:
    function = getattr(descriptor_class(name)(**parameters), method)
    return [np.asarray(function(wrapped(a), **options)) for a in structures]


def wrapped(atoms: Atoms) -> Atoms:
    """Copy the geometry of a structure, atoms inside the cell and the cell complete.

    DScribe gives wrong values, without a word, for atoms outside a periodic cell.
    """
    copy = Atoms(
        atoms.numbers,
        atoms.positions,
        cell=complete_cell(atoms.cell),
        pbc=atoms.pbc,
    )
    copy.wrap(eps=0.0)
    return copy


@cache
def _adapted(cls: type) -> type:
    """Subclass a descriptor so that its methods make our System, not DScribe's.

    The methods are DScribe's own, looking up the name System in other globals; nothing
    is patched that another user of DScribe would see.
    """
    methods = {}
    for base in reversed(cls.__mro__):
        for key, value in vars(base).items():
            if isinstance(value, FunctionType) and "System" in value.__code__.co_names:
                methods[key] = FunctionType(
                    value.__code__,
                    {**value.__globals__, "System": _system_class()},
                    key,
                    value.__defaults__,
                )
    return type(cls.__name__, (cls,), methods)


@cache
def _system_class() -> type:
    """DScribe's System, made by keyword."""
    from dscribe.core import System

    class KeywordSystem(System):
        # DScribe passes everything by position, and ASE 3.27 has other positions
        def __init__(self, *args, **kwargs):
            super().__init__()
            Atoms.__init__(self, *args, **kwargs)

        @staticmethod
        def from_atoms(atoms):
            return KeywordSystem(
                numbers=atoms.numbers,
                positions=atoms.positions,
                cell=atoms.cell,
                pbc=atoms.pbc,
            )

    return KeywordSystem
