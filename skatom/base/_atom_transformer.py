"""Mixin of transformers that give AtomFeatures."""

from sklearn.base import TransformerMixin


class AtomTransformerMixin(TransformerMixin, auto_wrap_output_keys=None):
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
