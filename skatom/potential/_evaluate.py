"""Energies, forces, stress and other properties, from any fitted estimator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from skatom._validation import check_is_fitted
from skatom.base import Target, target_of
from skatom.base._evaluation import Evaluation
from skatom.neighbors import NeighborPairs
from skatom.potential.answers import Context
from skatom.potential.estimators import answer
from skatom.structures import Structures, check_structures
from skatom.structures._voigt import has_volume, stress_of


def evaluate(
    estimator,
    X: Sequence[Atoms],
    *,
    forces: bool = True,
    stress: bool = False,
    atomic: bool = False,
    std: bool = False,
    pairs: NeighborPairs | None = None,
) -> Evaluation:
    """Predict everything that is asked for in one forward and one backward pass.

    Parameters
    ----------
    estimator : fitted estimator
        A Pipeline that begins with a featurizer, a meta-estimator over such pipelines
        (search, voting, stacking, bagging, transformed target, frozen), or any estimator
        of structures with methods such as ``predict_forces``.
    X : sequence of ase.Atoms
        Structures. Their calculators are neither used nor changed.
    forces, stress, atomic : bool
        Which properties of energies are wanted besides. Estimators of anything else, see
        :func:`skatom.base.target_of`, have none: ask with ``forces=False``.
    std : bool
        Whether standard deviations are wanted: of the energies or other properties, and
        of forces and energies of atoms where these are asked for.
    pairs : NeighborPairs, optional
        Neighbour pairs of X that are known already, at least up to
        ``r_cut_of(estimator)``; longer ones do no harm.

    Returns
    -------
    evaluation : Evaluation

    Raises
    ------
    NoDerivativeError
        If a step or model has no derivative rule, or no energies of atoms, or if these or
        forces or stress of something are asked for that is not an energy.
    NoStandardDeviationError
        If a model does not say how uncertain something asked for is.
    ValueError
        If stress is asked for and a structure has no volume.

    See Also
    --------
    predict_forces, predict_stress, predict_atomic_energies : One property at a time.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from skatom.featurizers import ACSF
    >>> from skatom.potential import evaluate
    >>> from skatom.preprocessing import Pool
    >>> frames = [molecule("H2O"), molecule("CH4"), molecule("CH3OH")]
    >>> model = make_pipeline(ACSF(r_cut=4.0), Pool(), Ridge())
    >>> found = evaluate(model.fit(frames, [-14.2, -24.0, -30.1]), frames)
    >>> found.energies.shape, found.forces[2].shape
    ((3,), (6, 3))
    """
    structures = check_structures(X, allow_empty=True)
    if (
        pairs is None
    ):  # the check of a Pipeline takes longer than a step of dynamics may
        check_is_fitted(estimator)
    if pairs is not None and pairs.n_atoms != structures.offsets[-1]:
        raise ValueError(
            f"pairs are those of {pairs.n_atoms} atoms, but X has "
            f"{structures.offsets[-1]}: give the pairs of X."
        )
    if stress:
        _refuse_open(structures)
    asked = {"forces": forces, "stress": stress, "energies of atoms": atomic}
    declared = target_of(estimator)
    _refuse_slopes(declared, estimator, asked)
    if not len(structures):
        return _nothing(declared, forces, stress, atomic, std)
    context = Context(forces or stress, stress, atomic, pairs, std)
    found = answer(estimator, structures, context)
    _refuse_slopes(found.target, estimator, asked)
    properties = found.further() | {found.target.name: found.predictions(structures)}
    of_properties = {}
    if std:
        deviations = found.std.energies()
        of_properties = {found.target.name: found.in_rows(deviations, structures)}
    if not found.target.is_energy:
        return Evaluation(properties=properties, properties_std=of_properties)
    unit = found.target.factor_to("eV")
    edges = structures.offsets[1:-1]
    motion = None
    if forces or stress:
        motion = found.pull(np.full(len(structures), unit))
    return Evaluation(
        energies=unit * found.values,
        forces=np.split(motion.forces, edges) if forces else None,
        stress=stress_of(motion.virial, structures) if stress else None,
        atomic_energies=np.split(unit * found.atoms(), edges) if atomic else None,
        energy_std=unit * deviations if std else None,
        forces_std=np.split(unit * found.std.forces(), edges)
        if std and forces
        else None,
        atomic_energy_std=np.split(unit * found.std.atoms(), edges)
        if std and atomic
        else None,
        properties=properties,
        properties_std=of_properties,
    )


def predict_forces(estimator, X: Sequence[Atoms], return_std: bool = False):
    """Predict the forces of any fitted estimator: minus the gradient of its energy.

    Parameters
    ----------
    estimator : fitted estimator
        As in :func:`evaluate`.
    X : sequence of ase.Atoms
    return_std : bool, default=False
        Whether standard deviations of the components are wanted too.

    Returns
    -------
    forces : list of ndarray of shape (n_atoms, 3)
        In eV/Å, one array a structure, in the atom order of the input.
    std : list of ndarray of shape (n_atoms, 3)
        In eV/Å, only with ``return_std``.

    Raises
    ------
    NoDerivativeError
        If a step or model has no derivative rule.
    NoStandardDeviationError
        If the model has no standard deviations of forces.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from skatom import predict_forces
    >>> from skatom.featurizers import ACSF
    >>> from skatom.preprocessing import Pool
    >>> frames = [molecule("H2O"), molecule("CH4")]
    >>> model = make_pipeline(ACSF(r_cut=4.0), Pool(), Ridge()).fit(frames, [-14.2, -24.0])
    >>> [forces.shape for forces in predict_forces(model, frames)]
    [(3, 3), (5, 3)]
    """
    found = evaluate(estimator, X, std=return_std)
    return (found.forces, found.forces_std) if return_std else found.forces


def predict_stress(estimator, X: Sequence[Atoms]) -> np.ndarray:
    """Predict the stress of crystals, and of slabs by the volume of their box.

    Parameters
    ----------
    estimator : fitted estimator
        As in :func:`evaluate`.
    X : sequence of ase.Atoms

    Returns
    -------
    stress : ndarray of shape (n_structures, 6)
        In eV/Å³, Voigt order xx yy zz yz xz xy, positive = tension, as in ASE.

    Raises
    ------
    ValueError
        If a structure has no volume: no periodic direction, or a cell of fewer than three
        vectors.
    NoDerivativeError
        If a step or model has no derivative rule.
    """
    return evaluate(estimator, X, forces=False, stress=True).stress


def predict_targets(estimator, X: Sequence[Atoms]) -> dict:
    """Predict all targets of an estimator, those of networks beside their first too.

    Parameters
    ----------
    estimator : fitted estimator
        As in :func:`evaluate`. Wrappers of other estimators have the first target.
    X : sequence of ase.Atoms

    Returns
    -------
    predictions : dict of str to ndarray, or to list of ndarray
        By the names of the targets, in their units: one row a structure, or one array a
        structure for numbers of atoms.
    """
    return evaluate(estimator, X, forces=False).properties


def predict_atomic_energies(estimator, X: Sequence[Atoms], return_std: bool = False):
    """Predict the energy of every atom, for models that are sums over atoms.

    Parameters
    ----------
    estimator : fitted estimator
        Whose model shares the energy out among atoms, such as AtomicKernelRidge.
    X : sequence of ase.Atoms
    return_std : bool, default=False
        Whether their standard deviations are wanted too.

    Returns
    -------
    energies : list of ndarray of shape (n_atoms,)
        In eV; they sum to the predicted energies.
    std : list of ndarray of shape (n_atoms,)
        In eV, only with ``return_std``.

    Raises
    ------
    NoDerivativeError
        If the model predicts energies of whole structures only.
    NoStandardDeviationError
        If the model has no standard deviations of energies of atoms.
    """
    found = evaluate(estimator, X, forces=False, atomic=True, std=return_std)
    if return_std:
        return found.atomic_energies, found.atomic_energy_std
    return found.atomic_energies


def _refuse_open(structures: Structures) -> None:
    for s, atoms in enumerate(structures):
        if not has_volume(atoms):
            raise ValueError(
                f"Structure {s} has no volume and so no stress (pbc is "
                f"{atoms.pbc.tolist()}, {atoms.cell.rank} cell vectors): ask for forces "
                "only, or set its cell and pbc."
            )


def _refuse_slopes(target: Target, estimator, asked: dict[str, bool]) -> None:
    for what, wanted in asked.items():
        if wanted:
            target.refuse_slopes(estimator, what)


def _nothing(
    target: Target, forces: bool, stress: bool, atomic: bool, std: bool
) -> Evaluation:
    empty = np.zeros(0) if target.width == 1 else np.zeros((0, target.width))
    empty = [] if target.per_atom else empty
    properties = {target.name: empty}
    of_properties = dict(properties) if std else {}
    if not target.is_energy:
        return Evaluation(properties=properties, properties_std=of_properties)
    return Evaluation(
        energies=np.zeros(0),
        forces=[] if forces else None,
        stress=np.zeros((0, 6)) if stress else None,
        atomic_energies=[] if atomic else None,
        energy_std=np.zeros(0) if std else None,
        forces_std=[] if std and forces else None,
        atomic_energy_std=[] if std and atomic else None,
        properties=properties,
        properties_std=of_properties,
    )
