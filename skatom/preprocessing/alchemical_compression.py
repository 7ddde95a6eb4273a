"""AlchemicalCompression: features resolved by species, compressed to pseudo-elements."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator

from skatom._validation import (
    Integral,
    Interval,
    StrOptions,
    _fit_context,
    check_is_fitted,
)
from skatom.base._atom_transformer import AtomTransformerMixin
from skatom.elements._channels import SpeciesChannels
from skatom.elements._couplings import couplings
from skatom.features import AtomFeatures


class AlchemicalCompression(AtomTransformerMixin, BaseEstimator):
    r"""Compress the species of features to a few pseudo-elements.

    Features that tell the species of neighbours apart (ACSF, AEV, FCHL19, SOAP) grow with
    the square of the number of elements, and learn nothing about one element from another.
    Here the density of neighbours of pseudo-element J is
    :math:`\rho_J = \sum_a U_{aJ} \rho_a` [1]_: what was a vector over the species is
    multiplied by U, and what was a matrix over pairs of species by U from both sides. The
    map is linear, so derivatives are exact and forces pass through it.

    Parameters
    ----------
    n_components : int, default=2
        Number of pseudo-elements.
    init : str or array-like, default="electronegativity-radius"
        Where U comes from. "electronegativity-radius": the best U with :math:`U U^T` near
        :math:`\exp(-\Delta\epsilon^2/2 - \Delta r^2/(2 (0.5\,\mathrm{Å})^2))`, of
        Pauling's electronegativities and covalent radii. "pca": leading eigenvectors of
        the products of the features of every two species, summed over the atoms of fit.
        "random": Gaussian numbers of variance 1/n_components. An array of shape
        (n_components, n_species), species by atomic number.
    random_state : int, RandomState or None, default=None
        For "random".

    Attributes
    ----------
    alchemical_components_ : ndarray of shape (n_components, n_species)
        How much of each species is in each pseudo-element: the transpose of U.
    species_ : list of str
        Chemical symbols that the features distinguish, by atomic number.
    n_atom_features_ : int
        Number of features that come out.

    See Also
    --------
    skatom.models.AlchemicalKernelRidge : Learn the couplings.
    skatom.featurizers.SOAP : With ``species_weights``, which compresses before the power
        spectrum is made: the same values for less memory.

    Notes
    -----
    The featurizer says which columns differ in species alone (its ``columns()``). Those
    without species, such as GMP's in a union, are kept behind the others. The new ones are
    called as before with J0, J1, ... in the place of elements. Functions of unordered pairs
    of neighbours (G4 of ACSF) get the weight :math:`u_J v_K + u_K v_J` for J < K and
    :math:`u_J v_J` for J = K.

    References
    ----------
    .. [1] M. J. Willatt, F. Musil and M. Ceriotti, Phys. Chem. Chem. Phys. 20, 29661
       (2018). doi:10.1039/C8CP05921G

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import SOAP
    >>> from skatom.preprocessing import AlchemicalCompression
    >>> features = SOAP(4.0, n_max=2, l_max=1).fit_transform([molecule("CH3SH")])
    >>> compression = AlchemicalCompression(2).fit(features)
    >>> features.shape[1], compression.transform(features).shape[1]
    (42, 20)
    >>> print(compression.get_feature_names_out()[6])
    SOAP_J0-J1_n0_n0_l0
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "init": [
            StrOptions({"electronegativity-radius", "pca", "random"}),
            "array-like",
        ],
        "random_state": ["random_state"],
    }

    def __init__(
        self, n_components=2, *, init="electronegativity-radius", random_state=None
    ):
        self.n_components = n_components
        self.init = init
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Sort the columns by species, and set the couplings.

        Parameters
        ----------
        X : AtomFeatures
            Some columns resolved by species.
        y : ignored

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If no column has species, there are more pseudo-elements than species, or an
            array has the wrong shape.
        """
        _check_features(X)
        channels = SpeciesChannels.from_columns(X.columns)
        U = couplings(
            self.init, channels, self.n_components, X.values, self.random_state
        )
        self.species_ = channels.species
        self.alchemical_components_ = np.ascontiguousarray(U.T)
        self._matrix = channels.matrix(U)
        self._names = [column.name for column in channels.contracted(U.shape[1])]
        self._others = channels.others
        self.n_atom_features_ = self._matrix.shape[1]
        return self

    def transform(self, X) -> AtomFeatures:
        """Compress the features of every atom.

        Parameters
        ----------
        X : AtomFeatures

        Returns
        -------
        compressed : AtomFeatures of shape (n_structures, n_new_features)
        """
        check_is_fitted(self)
        _check_features(X)
        if X.values.shape[1] != self._matrix.shape[0]:
            raise ValueError(
                f"X has {X.values.shape[1]} features per atom, but "
                f"AlchemicalCompression was fitted with {self._matrix.shape[0]}."
            )
        values = X.values @ self._matrix
        return X.transformed(self, values.astype(X.values.dtype, copy=False))

    def pullback(self, values: np.ndarray, numbers: np.ndarray, g: np.ndarray):
        """Carry the gradient by the output back to the input, for AtomFeatures.

        Parameters
        ----------
        values : ndarray of shape (n_atoms, n_features)
            Unused: the map is linear.
        numbers : ndarray of int, shape (n_atoms,)
            Unused.
        g : ndarray of shape (n_atoms, n_new_features)

        Returns
        -------
        gradient : ndarray of shape (n_atoms, n_features)
        """
        return g @ self._matrix.T

    def pushforward(self, values: np.ndarray, numbers: np.ndarray, v: np.ndarray):
        """Carry a change of the input forward to the output, for AtomFeatures.

        Parameters
        ----------
        values : ndarray of shape (n_atoms, n_features)
            Unused: the map is linear.
        numbers : ndarray of int, shape (n_atoms,)
            Unused.
        v : ndarray of shape (n_atoms, n_features)

        Returns
        -------
        tangent : ndarray of shape (n_atoms, n_new_features)
        """
        return v @ self._matrix

    def get_feature_names_out(self, input_features=None) -> np.ndarray:
        """Name the columns as before, with J0, J1, ... in the place of elements.

        Parameters
        ----------
        input_features : array-like of str, optional
            Names that go in; needed for columns without species.

        Returns
        -------
        names : ndarray of str, shape (n_new_features,)
        """
        check_is_fitted(self)
        names = list(self._names)
        for column in self._others:
            names.append(
                f"x{column}" if input_features is None else str(input_features[column])
            )
        return np.array(names, dtype=object)


def _check_features(X) -> None:
    if not isinstance(X, AtomFeatures):
        raise TypeError(
            f"AlchemicalCompression takes per-atom features, whose columns have names; "
            f"{type(X).__name__} has none. Put it behind a featurizer in a pipeline."
        )
