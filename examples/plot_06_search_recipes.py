"""
Halve the recipes, then choose in closed form
=============================================

Which featurizer, which kernel, which length, which regularisation? Successive halving asks
all recipes with few frames and only the better ones with more. What is left inside the
kernel model, its length and regularisation, needs no refits at all: leave-one-out errors of
energies and forces follow from one matrix.
"""

# %%
# Eight recipes begin with 16 frames, two are left with 64. Featurizers are parameters like
# any other, and scores are force errors on frames that a fold leaves out.
import pandas as pd
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV
from sklearn.pipeline import Pipeline

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF, SOAP
from skatom.metrics import neg_force_mae
from skatom.models import AtomicKernelRidge, AtomicKernelRidgeCV

train = load_dataset("malonaldehyde", "train")
X, y = train.frames[:64], train.energies[:64]

pipeline = Pipeline([("features", ACSF()), ("model", AtomicKernelRidge(1e-8))])
search = HalvingGridSearchCV(
    pipeline,
    {
        "features": [
            ACSF(r_cut=5.0),
            ACSF(r_cut=5.0, n_radial=4, n_angular=1),
            SOAP(r_cut=4.0, n_max=4, l_max=3),
            SOAP(r_cut=4.0, n_max=4, l_max=3, compression="mu1nu1"),
        ],
        "model__kernel": ["rbf", "matern52"],
    },
    scoring=neg_force_mae,
    factor=2,
    min_resources=16,
    cv=2,
    random_state=0,
).fit(X, y)

# %%
# Every line is a recipe at one number of frames; errors in meV/Å.
table = pd.DataFrame(search.cv_results_)
table["error"] = -1e3 * table["mean_test_score"]
table["features"] = table["param_features"].map(str).str.replace("\n", "")
columns = ["n_resources", "features", "param_model__kernel", "error"]
print(table.sort_values(["n_resources", "error"])[columns].to_string(index=False))

# %%
# The winner's features, computed once, and 15 pairs of a length and a regularisation, each
# judged by leaving out every frame with its forces.
features = search.best_estimator_["features"].transform(X[:30])
model = AtomicKernelRidgeCV(
    alphas=(1e-9, 1e-8, 1e-7),
    kernel=search.best_params_["model__kernel"],
    scoring="neg_force_mae",
).fit(features, y[:30])
results = pd.DataFrame(model.cv_results_).pivot(
    index="gamma", columns="alpha", values="score"
)
print((-1e3 * results).round(1).to_string())
print(f"chosen: gamma {model.gamma_:.2g}, alpha {model.alpha_:.0e}")

# %%
# The choice is at least as good as the defaults on frames of another file.
test = load_dataset("malonaldehyde", "test")
unseen = search.best_estimator_["features"]
chosen = Pipeline([("features", unseen), ("model", model)])
plain = Pipeline(
    [("features", unseen), ("model", AtomicKernelRidge().fit(features, y[:30]))]
)
errors = [
    -1e3 * neg_force_mae(fitted, test.frames[:50], test.energies[:50])
    for fitted in (chosen, plain)
]
print(f"force MAE on unseen frames: {errors[0]:.1f}, defaults {errors[1]:.1f} meV/Å")
assert errors[0] < 1.02 * errors[1]
