"""One or more small instances of every public estimator, for tests that run over all.

A new estimator that can be made without arguments needs no line here.
"""

from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from skatom.bases import LennardJones
from skatom.featurizers import ACSF, SOAP
from skatom.models import (
    AlchemicalKernelRidge,
    AtomicGaussianProcessRegressor,
    AtomicKernelRidge,
    AtomicKernelRidgeCV,
    AtomicRidge,
    CompositionBaseline,
    NeuralNetworkRegressor,
    PaiNNRegressor,
    SchNetRegressor,
)
from skatom.potential import CalculatorRegressor, DeltaRegressor, make_potential
from skatom.preprocessing import (
    AlchemicalCompression,
    AtomFeatureUnion,
    CachedFeaturizer,
    PerAtom,
    Pool,
)
from skatom.testing import all_estimators
from skatom.uncertainty import (
    AdaptiveConformalRegressor,
    CalibratedStdRegressor,
    ConformalRegressor,
    CrossConformalRegressor,
    DropoutRegressor,
    EnsembleRegressor,
    QuantileConformalRegressor,
    WeightedConformalRegressor,
)


def small(**params):
    """A featurizer with few columns."""
    return ACSF(
        **{"r_cut": 4.0, "n_radial": 4, "n_angular": 2, "zetas": (1, 2)} | params
    )


# Per-atom features, alone and after per-atom steps: what check_featurizer is run on.
FEATURES = {
    "ACSF": ACSF(),
    "ACSF-polynomial": small(cutoff="polynomial"),
    "ACSF-tanh3": small(cutoff="tanh3"),
    "ACSF-G5": small(g4=None, g5=[[0.01, 1, 1], [0.1, 4, -1]]),
    "ACSF-real-zeta": small(g4=[[0.01, 1.5, 1], [0.1, 3.7, -1]]),
    "ACSF-rc2": small(g2=[[4.0, 0.0], [20.0, 1.0]], g4=[[0.1, 1, 1]], eta_scale="rc2"),
    "ACSF-radial": small(g4=None),
    "ACSF-species": small(species=["H", "C", "O", "Cu"]),
    "ACSF-ignore": small(handle_unknown="ignore"),
    "SOAP": SOAP(),
    "SOAP-mu1nu1": SOAP(
        4.0, n_max=4, l_max=3, cutoff="cosine", weighting="power", compression="mu1nu1"
    ),
    "scaled": make_pipeline(small(), PerAtom(StandardScaler())),
    "scaled by species": make_pipeline(
        small(), PerAtom(StandardScaler(), by_species=True)
    ),
    "PCA": make_pipeline(small(), PerAtom(PCA(5))),
    "normalised": make_pipeline(small(), PerAtom(Normalizer())),
    "cached": CachedFeaturizer(small()),
    "alchemical": make_pipeline(small(), AlchemicalCompression(2)),
    "union": AtomFeatureUnion([("near", small(r_cut=2.5)), ("far", small(g4=None))]),
}

# Models of features get a featurizer and a scaler in front.
MODELS = {
    "AlchemicalKernelRidge": AlchemicalKernelRidge(2, n_steps=2, random_state=0),
    "AtomicRidge": AtomicRidge(),
    "AtomicRidge-energies": AtomicRidge(forces=None),
    "AtomicKernelRidge": AtomicKernelRidge(),
    "AtomicKernelRidge-energies": AtomicKernelRidge(forces=None),
    "AtomicKernelRidge-references": AtomicKernelRidge(n_references=10, random_state=0),
    "AtomicKernelRidgeCV": AtomicKernelRidgeCV([1e-6, 1e-3], gammas=["scale"]),
    "AtomicGaussianProcessRegressor": AtomicGaussianProcessRegressor(
        length_scale_bounds="fixed"
    ),
    "AtomicGaussianProcessRegressor-forces": AtomicGaussianProcessRegressor(
        "matern52", energies=False, optimizer=None
    ),
    "AtomicGaussianProcessRegressor-sparse": AtomicGaussianProcessRegressor(
        solver="sparse", n_inducing_labels=200, optimizer=None, random_state=0
    ),
    "NeuralNetworkRegressor": NeuralNetworkRegressor(
        hidden_layers=(8,), max_epochs=2, dtype="float64", random_state=0
    ),
    "NeuralNetworkRegressor-variance": NeuralNetworkRegressor(
        hidden_layers=(8,),
        loss="gaussian_nll",
        max_epochs=2,
        dtype="float64",
        random_state=0,
    ),
    "NeuralNetworkRegressor-quantiles": NeuralNetworkRegressor(
        hidden_layers=(8,),
        loss="quantile",
        max_epochs=2,
        dtype="float64",
        random_state=0,
    ),
    "NeuralNetworkRegressor-single": NeuralNetworkRegressor(
        hidden_layers=(8, 8),
        networks="single",
        activation="silu",
        residual=True,
        optimizer="layerwise_adam",
        ema=0.9,
        max_epochs=2,
        dtype="float64",
        random_state=0,
    ),
}

# Networks of structures that are quick to train.
TINY = {
    "n_features": 6,
    "n_interactions": 2,
    "n_basis": 8,
    "r_cut": 4.0,
    "max_epochs": 2,
    "dtype": "float64",
    "random_state": 0,
}

# Estimators of structures.
REGRESSORS = {
    "SchNetRegressor": SchNetRegressor(**TINY),
    "PaiNNRegressor": PaiNNRegressor(**TINY),
    "PaiNNRegressor-variance": PaiNNRegressor(**TINY, loss="gaussian_nll"),
    "CompositionBaseline": CompositionBaseline(),
    "CalculatorRegressor": CalculatorRegressor("emt", shift=True),
    "CalculatorRegressor-several": CalculatorRegressor(
        [LennardJones(epsilon=0.1), "zbl", CompositionBaseline()], features=small()
    ),
    "DeltaRegressor": DeltaRegressor(make_pipeline(small(), AtomicRidge())),
    "DeltaRegressor-lj": DeltaRegressor(make_pipeline(small(), AtomicRidge()), "lj"),
    "Potential": make_potential(small(), PerAtom(StandardScaler()), AtomicRidge()),
    "ConformalRegressor": ConformalRegressor(
        make_pipeline(small(), AtomicRidge()), calibration_size=3, random_state=0
    ),
    "CrossConformalRegressor": CrossConformalRegressor(
        make_pipeline(
            small(species=["H", "O", "Cu"]),  # folds may lack some
            Pool("sum"),
            Ridge(fit_intercept=False),
        ),
        cv=3,
    ),
    "QuantileConformalRegressor": QuantileConformalRegressor(
        make_pipeline(
            small(),
            NeuralNetworkRegressor(
                (8,),
                loss="quantile",
                max_epochs=2,
                dtype="float64",
                random_state=0,
            ),
        ),
        calibration_size=3,
        random_state=0,
    ),
    "CalibratedStdRegressor": CalibratedStdRegressor(
        make_pipeline(small(), AtomicRidge()),
        source="llpr",
        calibration_size=3,
        random_state=0,
    ),
    "DropoutRegressor": DropoutRegressor(
        make_pipeline(
            small(),
            NeuralNetworkRegressor(
                (8,), dropout=0.1, max_epochs=1, dtype="float64", random_state=0
            ),
        ),
        n_samples=2,
        random_state=0,
    ),
    "EnsembleRegressor": EnsembleRegressor(
        make_pipeline(small(), AtomicRidge()), n_members=2, random_state=0
    ),
    "AdaptiveConformalRegressor": AdaptiveConformalRegressor(
        ConformalRegressor(
            make_pipeline(small(), AtomicRidge()), calibration_size=3, random_state=0
        )
    ),
    "WeightedConformalRegressor": WeightedConformalRegressor(
        ConformalRegressor(
            make_pipeline(small(), AtomicRidge()), calibration_size=3, random_state=0
        )
    ),
    "pooled": make_pipeline(small(), Pool("sum"), Ridge(fit_intercept=False)),
    "pooled by species": make_pipeline(
        small(), Pool("sum", by_species=True), Ridge(fit_intercept=False)
    ),
}

# Checked elsewhere, and where.
ELSEWHERE = {
    "MessagePassingRegressor": "needs a module; tests/models/test_message_passing_fit.py",
    "FeatureDistance": "an outlier detector; tests/uncertainty/test_feature_distance.py",
    "LastLayerRigidity": "takes a model; tests/uncertainty/test_last_layer_rigidity.py",
    "DomainFlags": "an outlier detector; tests/uncertainty/test_domain_flags.py",
    "LatentDistance": "an outlier detector; tests/uncertainty/test_latent_distance.py",
    "PerAtom": "inside the pipelines of FEATURES",
    "AlchemicalCompression": "inside a pipeline of FEATURES",
    "Pool": "inside the pipelines of REGRESSORS",
    "AtomFeatureUnion": "'union' of FEATURES",
    **dict.fromkeys(
        ("EMT", "GFN1xTB", "GFN2xTB", "GivenCalculator", "LennardJones", "ZBL"),
        "settings of a CalculatorRegressor; tests/bases/test_every_base.py",
    ),
    "SelectFPS": "works on rows; tests/preprocessing/test_selectors.py",
    "SelectCUR": "works on rows; tests/preprocessing/test_selectors.py",
    **dict.fromkeys(
        (
            "Composition",
            "CoulombMatrix",
            "EwaldSumMatrix",
            "LMBTR",
            "MBTR",
            "SineMatrix",
            "ValleOganov",
        ),
        "not featurizers of pairs; tests/featurizers/test_dscribe_adapters.py",
    ),
}


def covered() -> set[str]:
    """Names of classes that have an exemplar or are checked elsewhere."""
    instances = [*FEATURES.values(), *MODELS.values(), *REGRESSORS.values()]
    return {type(instance).__name__ for instance in instances} | set(ELSEWHERE)


def others(kind: str) -> dict:
    """Default instances of public estimators of a kind without an exemplar."""
    return {name: cls() for name, cls in all_estimators(kind) if name not in covered()}
