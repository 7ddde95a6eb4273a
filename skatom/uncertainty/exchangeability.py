"""Tests of whether calibration structures and new ones come from one source."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import mannwhitneyu


class ExchangeabilityResult(NamedTuple):
    """Evidence against exchangeability.

    Attributes
    ----------
    p_value : float
        Of the whole set of new scores, two-sided rank test.
    stream_p_value : float
        Of the new scores as a stream, valid at any time: one over the largest martingale.
    martingale : ndarray of shape (n_new,)
        Wealth of a gambler who bets against exchangeability, after every new score; it
        begins at 1 and stays small while frames are alike.
    """

    p_value: float
    stream_p_value: float
    martingale: np.ndarray


def exchangeability_test(
    calibration_scores, new_scores, *, random_state: int = 0
) -> ExchangeabilityResult:
    """Test whether new scores could come from the source of the calibration scores.

    Parameters
    ----------
    calibration_scores : array-like of shape (n,)
        Scores, errors over sizes, of calibration structures; or any number per structure
        that needs no label, such as a standard deviation or a distance.
    new_scores : array-like of shape (n_new,)
        The same for new structures, in their order in time.
    random_state : int, default=0
        Breaks ties.

    Returns
    -------
    result : ExchangeabilityResult

    Raises
    ------
    ImportError
        If MAPIE is not installed.
    ValueError
        If there are no scores, or some are not finite.

    See Also
    --------
    DomainFlags : Which structures are unlike those of calibration.

    Notes
    -----
    The martingale is the simple jumper of MAPIE [1]_ on conformal p-values; new scores
    join the ranking once they have been bet on. With exchangeable scores it exceeds 20
    at any time with a probability of at most 1/20 [2]_. Frames of one trajectory fail
    this test for a good reason: neighbours in time are alike.

    References
    ----------
    .. [1] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World",
       Springer (2005), section 7.1
    .. [2] J. Ville, "Étude critique de la notion de collectif" (1939)

    Examples
    --------
    >>> import numpy as np
    >>> from skatom.uncertainty import exchangeability_test
    >>> rng = np.random.default_rng(0)
    >>> old = rng.normal(size=200)
    >>> exchangeability_test(old, rng.normal(size=100)).p_value > 0.05
    True
    >>> exchangeability_test(old, rng.normal(1, size=100)).stream_p_value < 1e-4
    True
    """
    old, new = (_finite(s) for s in (calibration_scores, new_scores))
    martingale_test = _jumper()(
        test_method="jumper_martingale", warn=False, random_state=random_state
    )
    history = list(old)
    wealth = np.empty(len(new))
    for t, score in enumerate(new):
        p = martingale_test.compute_p_value(score, np.array(history))
        wealth[t] = martingale_test.update_simple_jumper_martingale(p)
        history.append(score)
    return ExchangeabilityResult(
        float(mannwhitneyu(old, new, alternative="two-sided").pvalue),
        float(min(1.0, 1.0 / wealth.max())),
        wealth,
    )


def _finite(scores) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if not len(scores) or not np.isfinite(scores).all():
        raise ValueError(
            "Exchangeability is tested on finite scores, at least one of each kind; got "
            f"{len(scores)} scores, {np.sum(~np.isfinite(scores))} of them not finite."
        )
    return scores


def _jumper():
    try:
        from mapie.exchangeability_testing import OnlineMartingaleTest
    except ImportError:
        raise ImportError(
            "The test of exchangeability runs on MAPIE, which is not installed: "
            'pip install "skatom[mapie]".'
        ) from None
    return OnlineMartingaleTest
