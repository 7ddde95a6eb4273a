"""The three derivatives of a featurizer, against each other and central differences."""

# ruff: noqa: D401 - the first line of a check is its claim
import numpy as np
from sklearn.base import clone

from skatom.testing._comparisons import (
    DIFFERENCE,
    EXACT,
    STRAIN,
    moved,
    periodic,
    require_close,
    slope,
    strained,
)


def _cases(featurizer, frames):
    """Features of every frame, with a random direction for each of their arrays."""
    fitted = clone(featurizer).fit(frames)
    rng = np.random.default_rng(0)
    for s, atoms in enumerate(frames):
        X = fitted.transform([atoms])
        g = rng.normal(size=X.values.shape)
        u = rng.normal(size=(len(atoms), 3))
        v = rng.normal(size=(X.pairs.n_pairs, 3))
        yield s, atoms, fitted, X, g, u, v


def check_derivatives_are_not_zero(featurizer, frames):
    """The derivatives are those of something that depends on positions."""
    if not any(np.any(X.pullback(g)) for *_, X, g, _, _ in _cases(featurizer, frames)):
        raise AssertionError("pullback gives zero for every structure.")


def check_pullback_and_pushforward_are_transposes(featurizer, frames):
    """The products <g, J v> and <J^T g, v> are equal."""
    for s, *_, X, g, _, v in _cases(featurizer, frames):
        pushed, pulled = g * X.pushforward(v), X.pullback(g) * v
        require_close(
            pushed.sum(),
            pulled.sum(),
            f"<g, pushforward(v)> and <pullback(g), v> differ in frame {s}",
            EXACT,
            floor=np.abs(pushed).sum() + 1e-12,
        )


def check_jacobian_holds_both(featurizer, frames):
    """The full derivative of a frame gives its pullback and its pushforward."""
    for s, *_, X, g, _, v in _cases(featurizer, frames):
        J, centers = X.jacobian(), X.pairs.centers
        pushed = np.zeros_like(g)
        np.add.at(pushed, centers, np.einsum("pan,pa->pn", J, v))
        pulled = np.einsum("pan,pn->pa", J, g[centers])
        where = f"in frame {s} differs from the jacobian"
        require_close(X.pushforward(v), pushed, f"pushforward {where}")
        require_close(X.pullback(g), pulled, f"pullback {where}")


def check_pushforward_matches_differences(featurizer, frames):
    """Moving atoms changes values as `pushforward` says, at two step sizes."""
    for s, atoms, fitted, X, _, u, _ in _cases(featurizer, frames):
        numerical = slope(
            lambda h, a=atoms, u=u, f=fitted: f.transform([moved(a, u, h)]).values
        )
        require_close(
            X.pushforward(-X.pairs.forces_transpose(u)),
            numerical,
            f"pushforward differs from central differences in frame {s}",
            DIFFERENCE,
            floor=np.abs(X.values).max() + 1e-9,
        )


def check_pullback_matches_differences(featurizer, frames):
    """Forces from `pullback` are minus the slope of g . values."""
    for s, atoms, fitted, X, g, u, _ in _cases(featurizer, frames):
        numerical = slope(
            lambda h, a=atoms, u=u, g=g, f=fitted: (
                g * f.transform([moved(a, u, h)]).values
            ).sum()
        )
        pulled = X.pullback(g)
        forces = X.pairs.forces(pulled)
        require_close(
            -(forces * u).sum(),
            numerical,
            f"Forces from pullback differ from central differences in frame {s}",
            DIFFERENCE,
            floor=np.abs(pulled).sum() + 1e-9,
        )


def check_strain_matches_differences(featurizer, frames):
    """The virial from `pullback` is the slope by strain."""
    for s, atoms, fitted, X, g, _, _ in _cases(featurizer, periodic(frames, 3)):
        numerical = slope(
            lambda h, a=atoms, g=g, f=fitted: (
                g * f.transform([strained(a, STRAIN, h)]).values
            ).sum()
        )
        (virial,) = X.pairs.virial(X.pullback(g), X.offsets)
        require_close(
            (virial * STRAIN).sum(),
            numerical,
            f"The virial differs from central differences in frame {s}",
            DIFFERENCE,
            floor=np.abs(virial).sum() + 1e-9,
        )
