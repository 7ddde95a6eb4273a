"""Classes that load() builds besides the estimators of scikit-learn and NumPy arrays.

They hold numbers and other estimators and run nothing when their state is set; metrics are
run when somebody asks a search to score. Compiled
classes of scikit-learn that index memory by their state (trees, KD-trees) are not here: a
crafted state could crash the interpreter, so files with them must be trusted by name.
"""

from inspect import isfunction

import sklearn.metrics

from skatom import metrics
from skatom.base import Target
from skatom.base._public import public_estimators

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


# Estimators, the scorers that a search may hold, and targets, under the names that they are
# imported by, whatever file they stand in.
PUBLIC: dict[tuple[str, str], str] = {
    (one.__module__, one.__qualname__): wing
    for wing, one in [
        *public_estimators(),
        *(("skatom.metrics", getattr(metrics, name)) for name in metrics.__all__),
        ("skatom.base", Target),
    ]
}

TRUSTED: tuple[str, ...] = (
    *(f"{wing}.{name}" for (_, name), wing in PUBLIC.items()),
    *(f"sklearn.gaussian_process.kernels.{name}" for name in _KERNELS),
    *(f"sklearn.model_selection._split.{name}" for name in _SPLITTERS),
    *(
        f"{one.__module__}.{one.__name__}"
        for one in (getattr(sklearn.metrics, name) for name in sklearn.metrics.__all__)
        if isfunction(one)
    ),
    "scipy.sparse._csr.csr_array",
    "sklearn.metrics._scorer._PassthroughScorer",
    "sklearn.metrics._scorer._Scorer",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.utils._bunch.Bunch",
)
