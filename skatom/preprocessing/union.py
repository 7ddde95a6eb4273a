"""AtomFeatureUnion: several featurizers or per-atom steps side by side."""

from __future__ import annotations

from collections.abc import Sequence

from sklearn.pipeline import FeatureUnion

from skatom.base._atom_transformer import AtomTransformerMixin
from skatom.features import AtomFeatures, hstack


class AtomFeatureUnion(AtomTransformerMixin, FeatureUnion):
    """Join the per-atom features of several featurizers, column by column.

    scikit-learn's ``FeatureUnion`` does the same as long as nobody asks for data frames:
    under ``set_output(transform="pandas")`` it would force ragged per-atom features into
    one. This class keeps them as they are.

    Parameters
    ----------
    transformer_list : list of (str, transformer)
        Featurizers, or per-atom steps, that all give AtomFeatures.
    n_jobs : int or None, default=None
        Number of transformers to run at a time.
    transformer_weights : None
        Not supported; weight features with ``PerAtom``.
    verbose : bool, default=False
    verbose_feature_names_out : bool, default=True
        Whether names are prefixed with the name of their transformer.

    See Also
    --------
    sklearn.pipeline.FeatureUnion : For rows of numbers.

    Examples
    --------
    >>> from ase.build import molecule
    >>> from skatom.featurizers import ACSF
    >>> from skatom.preprocessing import AtomFeatureUnion
    >>> union = AtomFeatureUnion([("near", ACSF(r_cut=3.0)), ("far", ACSF(r_cut=6.0))])
    >>> union.fit_transform([molecule("H2O")])[0].values.shape[0]
    3
    """

    def __init__(
        self,
        transformer_list: Sequence[tuple],
        *,
        n_jobs: int | None = None,
        transformer_weights: None = None,
        verbose: bool = False,
        verbose_feature_names_out: bool = True,
    ):
        super().__init__(
            transformer_list,
            n_jobs=n_jobs,
            transformer_weights=transformer_weights,
            verbose=verbose,
            verbose_feature_names_out=verbose_feature_names_out,
        )

    def _validate_transformer_weights(self):
        if self.transformer_weights is not None:
            raise ValueError(
                "AtomFeatureUnion takes no transformer_weights: weight the features of a "
                "transformer with a PerAtom step behind it."
            )

    def _hstack(self, blocks) -> AtomFeatures:
        return hstack(blocks)
