"""
Tune featurizer, scaler and model together
==========================================

One ``GridSearchCV`` looks for the radius of the environment, the scaling of features and
the regularisation of the model at once. Nothing is tuned on the test frames.
"""

# %%
# Search on 45 training frames with their forces; the folds are split by scikit-learn, and
# two worker processes share the work.
import pandas as pd
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skatom.datasets import load_dataset
from skatom.featurizers import ACSF
from skatom.metrics import neg_force_mae
from skatom.models import AtomicKernelRidge
from skatom.preprocessing import PerAtom

train = load_dataset("malonaldehyde", "train")
X, y = train.frames[:45], train.energies[:45]

pipeline = Pipeline(
    [
        ("features", ACSF()),
        ("scale", PerAtom(StandardScaler())),
        ("model", AtomicKernelRidge()),
    ]
)
search = GridSearchCV(
    pipeline,
    {
        "features__r_cut": [4.0, 5.0],
        "scale__transformer__with_std": [True, False],
        "model__alpha": [1e-8, 1e-6],
    },
    scoring={"energy": "neg_mean_absolute_error", "forces": neg_force_mae},
    refit="forces",
    cv=3,
    n_jobs=2,
).fit(X, y)

# %%
# Scores are negative errors, energies in eV and forces in eV/Å. Dividing every symmetry
# function by its own spread is a bad idea for a kernel, and the search finds that out.
table = pd.DataFrame(search.cv_results_)
columns = [c for c in table if c.startswith("param_")] + [
    "mean_test_energy",
    "mean_test_forces",
]
print(table.sort_values("rank_test_forces")[columns].to_string(index=False))
print("best:", search.best_params_)

# %%
# The frames of another file of the same molecule were never seen. The best pipeline, fitted
# again on all 45 frames, is at least as good there as the mean of its folds.
test = load_dataset("malonaldehyde", "test")
score = neg_force_mae(search.best_estimator_, test.frames[:100], test.energies[:100])
print(f"force MAE on unseen frames: {-1000 * score:.1f} meV/Å")
assert score > 1.2 * search.best_score_
assert search.best_params_["scale__transformer__with_std"] is False
