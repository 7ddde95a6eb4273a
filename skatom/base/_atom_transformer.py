"""Mixins of transformers of structures, and of those that give AtomFeatures."""

from sklearn.base import TransformerMixin

from skatom.features._kinds_of_x import rows_and_structures


class ReadsOnce:
    """Mixin of transformers of structures that may be given as an iterator."""

    def fit_transform(self, X, y=None, **fit_params):
        """Fit to X and transform it, reading X once.

        Parameters
        ----------
        X : as for fit
        y : as for fit
        **fit_params
            Passed to fit.

        Returns
        -------
        features : AtomFeatures or ndarray
            As transform gives.
        """
        return super().fit_transform(rows_and_structures(X)[0], y, **fit_params)


class AtomTransformerMixin(ReadsOnce, TransformerMixin, auto_wrap_output_keys=None):
    """Transformer whose output is ragged, so that no data frame can hold it."""

    def __init_subclass__(cls, auto_wrap_output_keys=None, **kwargs):
        # scikit-learn's default would wrap the output of every subclass anew
        super().__init_subclass__(auto_wrap_output_keys=auto_wrap_output_keys, **kwargs)

    def set_output(self, *, transform=None):
        """Accept and ignore: per-atom features are ragged and stay AtomFeatures.

        Parameters
        ----------
        transform : str or None

        Returns
        -------
        self : object
        """
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags
