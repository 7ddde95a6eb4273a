"""Every fit that can take long shows its progress, and every other is known to be short."""

import pytest
from exemplars import MODELS, REGRESSORS, small

from skatom.base._public import public_estimators
from skatom.featurizers import ACSF
from skatom.models import AtomicRidge
from skatom.potential import Potential, make_potential
from skatom.structures._samples import check_frames, with_labels
from skatom.uncertainty import CrossConformalRegressor, EnsembleRegressor

# Their fit looks at species, or at as many rows as a matrix product takes seconds for.
SHORT = {
    "AtomFeatureUnion", "CachedFeaturizer", "Composition", "CompositionBaseline",
    "CoulombMatrix", "DomainFlags", "EwaldSumMatrix", "FeatureDistance", "LMBTR", "MBTR",
    "PerAtom", "Pool", "SelectCUR", "SelectFPS", "SineMatrix", "ValleOganov",
}  # fmt: skip
# They fit one estimator, whose own progress is theirs.
OF_WHAT_THEY_WRAP = {
    "AdaptiveConformalRegressor", "AlchemicalCompression", "CalibratedStdRegressor",
    "CalculatorRegressor", "ConformalRegressor", "DeltaRegressor", "DropoutRegressor",
    "LastLayerRigidity", "LatentDistance", "Potential", "QuantileConformalRegressor",
    "WeightedConformalRegressor",
}  # fmt: skip


@pytest.fixture(scope="module")
def frames():
    return with_labels(check_frames())


def talking() -> dict[str, type]:
    """Public estimators with a ``verbose`` of their own, but for featurizers."""
    found = {}
    for _, cls in public_estimators():
        quiet = cls.__name__ in SHORT | OF_WHAT_THEY_WRAP
        if hasattr(cls, "fit") and not quiet:
            found[cls.__name__] = cls
    return found


@pytest.mark.parametrize("cls", talking().values(), ids=talking())
def test_every_long_fit_has_a_verbose(cls):
    assert "verbose" in cls._get_param_names()


def estimators() -> dict:
    base = make_potential(small(), AtomicRidge())
    shown = {
        name: make_potential(small(), model)
        for name, model in MODELS.items()
        if "verbose" in type(model)._get_param_names()
    }
    shown |= {
        name: one
        for name, one in REGRESSORS.items()
        if "verbose" in type(one)._get_param_names() and type(one).__name__ in talking()
    }
    shown["ensemble"] = EnsembleRegressor(base, 2)
    shown["folds"] = CrossConformalRegressor(base, cv=2)
    return shown


@pytest.mark.parametrize("name", estimators())
def test_verbose_shows_progress_and_changes_nothing_else(name, frames, capsys):
    model = estimators()[name]
    owner = model[-1] if isinstance(model, Potential) else model
    y = [atoms.get_potential_energy() for atoms in frames]
    model.fit(frames, y)
    assert not capsys.readouterr().err
    owner.set_params(verbose=1)
    model.fit(frames, y)
    assert " in " in capsys.readouterr().err


def test_featurizers_show_their_transform(frames, capsys):
    ACSF(r_cut=4.0, g2=[(0.5, 0.0)], g4=None, verbose=1).fit_transform(frames)
    assert "ACSF" in capsys.readouterr().err
