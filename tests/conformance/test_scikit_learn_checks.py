"""scikit-learn's own checks, over one table of exemplars.

scikit-learn feeds matrices to what it checks. Models take them as they are; estimators of
structures stand behind a front that reads every row as a molecule.
"""

import warnings

import pytest
from fronted import (
    SMALL,
    FrontedACSF,
    FrontedBaseline,
    FrontedCalculator,
    FrontedComposition,
    FrontedCoulomb,
    FrontedDelta,
    FrontedEwald,
    FrontedLMBTR,
    FrontedMBTR,
    FrontedPotential,
    FrontedSchNet,
    FrontedSine,
    FrontedValleOganov,
    Molecules,
)
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, QuantileRegressor, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from skatom.featurizers import ACSF
from skatom.models import (
    AlchemicalKernelRidge,
    AtomicGaussianProcessRegressor,
    AtomicKernelRidge,
    AtomicKernelRidgeCV,
    AtomicRidge,
    AtomicRidgeCV,
    NeuralNetworkRegressor,
)
from skatom.potential import Potential
from skatom.preprocessing import PerAtom, Pool, SelectCUR, SelectFPS
from skatom.testing import RowsToAtoms, all_estimators
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    CalibratedStdRegressor,
    ConformalRegressor,
    CrossConformalRegressor,
    EnsembleRegressor,
    QuantileConformalRegressor,
    WeightedConformalRegressor,
)

ROWS = [
    AlchemicalKernelRidge(n_steps=5),
    AtomicGaussianProcessRegressor(),
    AtomicGaussianProcessRegressor(solver="iterative", tol=1e-12, random_state=0),
    AtomicKernelRidge(),
    AtomicKernelRidge(kernel="polynomial", n_references=20),
    AtomicKernelRidgeCV([1e-6, 1e-2], gammas=["scale"], cv=3),
    AtomicRidge(),
    AtomicRidge(alpha=0.0, fit_intercept=False),
    AtomicRidgeCV(cv=2),
    NeuralNetworkRegressor(hidden_layers=(16,), lr=3e-2, max_epochs=10, random_state=0),
    PerAtom(StandardScaler()),
    PerAtom(StandardScaler(), by_species=True),
    PerAtom(PCA()),
    PerAtom(Normalizer()),
    Pool(),
    Pool("mean"),
    Pool("mean", by_species=True, counts=True),
    SelectCUR(),
    SelectFPS(),
    CalibratedStdRegressor(
        EnsembleRegressor(Ridge(), 2, random_state=0),
        calibration_size=3,
        random_state=0,
    ),
    CalibratedStdRegressor(
        Ridge(), source="llpr", method="crps", calibration_size=3, random_state=0
    ),
    CalibratedStdRegressor(
        Ridge(), source="latent", calibration_size=3, random_state=0
    ),
    ConformalRegressor(Ridge(), random_state=0),
    ConformalRegressor(LinearRegression(), calibration_size=3, random_state=0),
    CrossConformalRegressor(Ridge(), cv=3),
    QuantileConformalRegressor(QuantileRegressor(alpha=0.0), random_state=0),
    AdaptiveConformalRegressor(ConformalRegressor(Ridge(), random_state=0)),
    WeightedConformalRegressor(ConformalRegressor(Ridge(), random_state=0)),
    EnsembleRegressor(Ridge(), random_state=0),
    EnsembleRegressor(
        make_pipeline(StandardScaler(), KNeighborsRegressor(3)),
        n_members=3,
        diversity="subsampling",
        random_state=0,
    ),
]
STRUCTURES = [
    FrontedACSF(**SMALL),
    FrontedACSF(r_cut=3.0, g4=None, species=["H", "O"]),
    FrontedBaseline(),
    FrontedCalculator("lj", shift=True),
    FrontedComposition(),
    FrontedComposition("properties"),
    FrontedCoulomb(),
    FrontedCoulomb("random", random_state=0),
    FrontedCoulomb(rows="atoms"),
    FrontedDelta(
        make_pipeline(ACSF(**SMALL), Pool("sum"), StandardScaler(), Ridge(alpha=1e-3))
    ),
    FrontedEwald("eigenspectrum", accuracy=1e-2),
    FrontedLMBTR(n_grid=4, r_cut=3.0),
    FrontedMBTR(n_grid=4, r_cut=3.0),
    FrontedPotential(
        [
            ("rows", Molecules()),
            ("acsf", ACSF(**SMALL)),
            ("scale", PerAtom(StandardScaler())),
            ("model", AtomicRidge()),
        ]
    ),
    FrontedSchNet(
        n_features=4, n_interactions=1, n_basis=4, max_epochs=1, random_state=0
    ),
    FrontedSine(),
    FrontedValleOganov(n_grid=4, r_cut=2.0),
]
# Public estimators that none of scikit-learn's checks can be run on here, and why.
NOT_HERE = {
    **dict.fromkeys(
        ("AEV", "FCHL19", "GMP", "SOAP", "WeightedACSF"),
        "all that scikit-learn sees is done in the base that they share with ACSF",
    ),
    **dict.fromkeys(
        ("AlchemicalCompression", "AtomFeatureUnion", "CachedFeaturizer"),
        "features of atoms in or out, or another featurizer inside",
    ),
    **dict.fromkeys(
        ("MessagePassingRegressor", "PaiNNRegressor"),
        "the same class as SchNetRegressor, with other modules",
    ),
    **dict.fromkeys(
        ("DomainFlags", "FeatureDistance", "LastLayerRigidity", "LatentDistance"),
        "take a fitted estimator, which the checks do not have",
    ),
    **dict.fromkeys(
        ("EMT", "GFN1xTB", "GFN2xTB", "GivenCalculator", "LennardJones", "ZBL"),
        "settings of a CalculatorRegressor, which fits and predicts",
    ),
    "DropoutRegressor": "takes a network with dropout only",
}
# Checks that fail, and why.
EXPECTED = {
    Potential: dict.fromkeys(
        ("check_dont_overwrite_parameters", "check_estimators_overwrite_params"),
        "scikit-learn's own Pipeline replaces its steps by the fitted ones",
    ),
    NeuralNetworkRegressor: {
        "check_sample_weight_equivalence_on_dense_data": (
            "batches and the validation split are drawn from the rows, so a row given "
            "twice meets other companions than one of weight two"
        )
    },
}


def expected_failures(estimator) -> dict[str, str]:
    for cls, failures in EXPECTED.items():
        if isinstance(estimator, cls):
            return failures
    return {}


def label(value) -> str:
    """Name of a class, or of a check with its options: reprs of estimators are slow."""
    if not hasattr(value, "func"):
        return type(value).__name__
    return "-".join([value.func.__name__, *map(str, value.keywords.values())])


@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        case
        for one in [*ROWS, *STRUCTURES]
        for case in estimator_checks_generator(
            one, expected_failed_checks=expected_failures(one), mark="xfail"
        )
    ],
    ids=label,
)
def test_follows_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        # some checks fit collinear rows and targets that no length describes
        warnings.filterwarnings("ignore", "The kernel", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        check(estimator)


@pytest.mark.parametrize("estimator", STRUCTURES, ids=lambda e: type(e).__name__)
def test_the_front_lets_all_checks_run(estimator):
    # the tags of structures admit one check; those of matrices about fifty
    assert len(list(estimator_checks_generator(estimator))) > 35


def test_every_estimator_of_rows_or_structures_is_here():
    tried = {
        base
        for one in [*ROWS, *STRUCTURES]
        for base in type(one).__mro__
        if base.__module__.startswith("skatom.") and base is not RowsToAtoms
    }
    missing = {cls.__name__ for _, cls in all_estimators()} - {
        cls.__name__ for cls in tried
    }
    assert missing == set(NOT_HERE)


class FrontedForgetful(FrontedACSF):
    """A featurizer that depends on the companions of a structure."""

    def transform(self, X):
        values = super().transform(X)
        return values - values.mean(axis=0)


class FrontedMeddler(FrontedACSF):
    """A featurizer that changes its parameters in fit."""

    def fit(self, X, y=None):
        super().fit(X, y)
        self.species = ["H", "O"]
        return self


@pytest.mark.parametrize(
    ("mutant", "caught_by"),
    [
        (FrontedForgetful(**SMALL), "check_methods_subset_invariance"),
        (FrontedMeddler(**SMALL), "check_dont_overwrite_parameters"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_mistakes_are_caught_behind_the_front(mutant, caught_by):
    failed = set()
    for estimator, check in estimator_checks_generator(mutant):
        if check.func.__name__ == caught_by:
            try:
                check(estimator)
            except Exception:
                failed.add(caught_by)
    assert failed
