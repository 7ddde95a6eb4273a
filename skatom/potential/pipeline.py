"""Potential: a Pipeline that knows its forces, stress and energies of atoms."""

from __future__ import annotations

from dataclasses import replace

from sklearn import get_config
from sklearn.pipeline import Pipeline, make_pipeline

from skatom.base import Target, target_of
from skatom.base._targets import as_target
from skatom.potential.estimators import answer
from skatom.potential.potential_methods import PotentialMethods


class Potential(PotentialMethods, Pipeline):
    """Pipeline from structures to energies, with forces, stress and energies of atoms.

    Everything that scikit-learn's ``Pipeline`` does, it does: nested parameters, slicing,
    caching, cloning, the HTML picture. The free functions of `skatom.potential` give the
    same forces for a plain ``Pipeline``.

    Parameters
    ----------
    steps : list of (str, estimator)
        A featurizer first, a regressor last.
    transform_input : list of str or None, default=None
        As in ``sklearn.pipeline.Pipeline``.
    memory : str, joblib.Memory or None, default=None
        Where fitted steps are cached. Features of a data set are then computed once for
        all models of a search.
    verbose : bool, default=False
        Whether the time of each step of fit is printed.
    target : str or Target, default=None
        What is predicted, see :class:`skatom.base.Target`. None is what the last step
        says, and for regressors of scikit-learn, which say nothing, an energy in eV.

    See Also
    --------
    make_potential : The same without names.
    predict_forces : Forces of a plain Pipeline.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from sklearn.linear_model import Ridge
    >>> from skatom.featurizers import ACSF
    >>> from skatom.potential import make_potential
    >>> from skatom.preprocessing import Pool
    >>> frames = [molecule("H2O"), molecule("CH4")]
    >>> model = make_potential(ACSF(r_cut=4.0), Pool(), Ridge())
    >>> model.fit(frames, [-14.2, -24.0]).predict_forces(frames)[1].shape
    (5, 3)
    """

    _parameter_constraints: dict = {
        **Pipeline._parameter_constraints,
        "target": [str, Target, None],
    }

    def __init__(
        self, steps, *, transform_input=None, memory=None, verbose=False, target=None
    ):
        super().__init__(
            steps, transform_input=transform_input, memory=memory, verbose=verbose
        )
        self.target = target

    def fit(self, X, y=None, *, forces=None, stress=None, **params):
        """Fit all steps; the last one to energies and, where it can, forces and stress.

        Parameters
        ----------
        X : sequence of ase.Atoms
            Structures. Forces and stress stored with them are read by models that train
            on them.
        y : array-like of shape (n_structures,), or as the target has it
            Total energies in eV, or what the target says.
        forces : sequence of ndarray of shape (n_atoms, 3) or None, optional
            Forces in eV/Å that take precedence over stored ones. Handed to the last step.
        stress : sequence of ndarray of shape (6,) or None, optional
            The same for stress, in eV/Å³.
        **params : dict
            As in ``sklearn.pipeline.Pipeline.fit``.

        Returns
        -------
        self : object
        """
        if self.target is not None:
            as_target(self.target)
        target_of(self)  # refuses what the last step contradicts
        routed = get_config()["enable_metadata_routing"]
        prefix = "" if routed else f"{self.steps[-1][0]}__"
        for name, given in (("forces", forces), ("stress", stress)):
            if given is not None:
                params[prefix + name] = given
        return super().fit(X, y, **params)


@answer.register(Potential)
def _potential(estimator, X, context):
    found = answer.dispatch(Pipeline)(estimator, X, context)
    if estimator.target is None:
        return found
    target = as_target(estimator.target)
    columns = max(found.target.n_columns, target.n_columns)
    return replace(found, target=target.with_columns(columns))


def make_potential(
    *steps, memory=None, verbose: bool = False, target: str | Target | None = None
) -> Potential:
    """Make a Potential, its steps named after their classes.

    Parameters
    ----------
    *steps : estimators
        A featurizer first, a regressor last.
    memory : str, joblib.Memory or None, default=None
        Where fitted steps are cached.
    verbose : bool, default=False
    target : str or Target, default=None
        What is predicted; None is what the last step says, or an energy.

    Returns
    -------
    potential : Potential

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from skatom.featurizers import ACSF
    >>> from skatom.potential import make_potential
    >>> from skatom.preprocessing import Pool
    >>> list(make_potential(ACSF(), Pool(), Ridge()).named_steps)
    ['acsf', 'pool', 'ridge']
    """
    steps = make_pipeline(*steps).steps
    return Potential(steps, memory=memory, verbose=verbose, target=target)
