"""Classes that load() builds besides the estimators of scikit-learn and NumPy arrays.

They hold numbers and other estimators and run nothing when their state is set. Compiled
classes of scikit-learn that index memory by their state (trees, KD-trees) are not here: a
crafted state could crash the interpreter, so files with them must be trusted by name.
"""

_SKATOM = (
    "skatom.featurizers.acsf.ACSF",
    "skatom.featurizers.gmp.GMP",
    "skatom.featurizers.soap.SOAP",
    "skatom.models.composition.CompositionBaseline",
    "skatom.models.kernel_ridge.AtomicKernelRidge",
    "skatom.models.neural_network.NeuralNetworkRegressor",
    "skatom.models.ridge.AtomicRidge",
    "skatom.potential.delta.DeltaRegressor",
    "skatom.potential.pipeline.Potential",
    "skatom.preprocessing.per_atom.PerAtom",
    "skatom.preprocessing.pool.Pool",
    "skatom.preprocessing.union.AtomFeatureUnion",
    "skatom.uncertainty.conformal.ConformalRegressor",
    "skatom.uncertainty.distance.FeatureDistance",
)
# What they keep their fitted numbers in.
_FITTED = (
    "skatom.uncertainty._environments.References",
    "skatom.uncertainty._scores.EnergyScores",
    "skatom.uncertainty._scores.ForceScores",
)
_KERNELS = (
    "CompoundKernel",
    "ConstantKernel",
    "DotProduct",
    "ExpSineSquared",
    "Exponentiation",
    "Matern",
    "Product",
    "RBF",
    "RationalQuadratic",
    "Sum",
    "WhiteKernel",
)
_SPLITTERS = (
    "GroupKFold",
    "GroupShuffleSplit",
    "KFold",
    "LeaveOneGroupOut",
    "LeaveOneOut",
    "LeavePGroupsOut",
    "LeavePOut",
    "PredefinedSplit",
    "RepeatedKFold",
    "ShuffleSplit",
    "TimeSeriesSplit",
)

TRUSTED: tuple[str, ...] = (
    *_SKATOM,
    *_FITTED,
    *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
    *(f"sklearn.model_selection._split.{name}" for name in _SPLITTERS),
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)
