"""Every shipped check of featurizers catches the mistake it is made for."""

from unittest import SkipTest

import numpy as np
import pytest
from ase.build import molecule
from radial import RadialSums

from skatom.features import AtomFeatures
from skatom.testing import check_featurizer, check_frames, featurizer_checks


def fails(featurizer, name: str) -> bool:
    """Whether a featurizer fails a check; the others are not run."""
    (check,) = (c for c in featurizer_checks(featurizer) if c.func.__name__ == name)
    try:
        check()
    except SkipTest:
        return False
    except Exception:  # a check may also stumble over a broken featurizer
        return True
    return False


def with_values(X: AtomFeatures, values) -> AtomFeatures:
    return AtomFeatures(values, X.offsets, X.numbers, X.structures, X.origin)


class FitReturnsNothing(RadialSums):
    def fit(self, X, y=None):
        super().fit(X)


class ChangesItsParameters(RadialSums):
    def fit(self, X, y=None):
        super().fit(X)
        self.species = self.species_
        return self


class GivesArrays(RadialSums):
    def transform(self, X):
        return super().transform(X).values


class OneNameTooFew(RadialSums):
    def get_feature_names_out(self, input_features=None):
        return super().get_feature_names_out()[1:]


class SameNames(RadialSums):
    def get_feature_names_out(self, input_features=None):
        return np.full(len(super().get_feature_names_out()), "G", dtype=object)


class GivesOnes(RadialSums):
    def transform(self, X):
        X = super().transform(X)
        return with_values(X, np.ones_like(X.values))


class NotANumber(RadialSums):
    def transform(self, X):
        X = super().transform(X)
        return with_values(X, X.values / 0.0 * 0.0)


class WorksUnfitted(RadialSums):
    def transform(self, X):
        if not hasattr(self, "species_"):
            self.fit(X)
        return super().transform(X)


class Remembers(RadialSums):
    def fit(self, X, y=None):
        before = getattr(self, "n_fits_", 0)
        super().fit(X)
        self.n_fits_ = before + 1
        return self

    def transform(self, X):
        X = super().transform(X)
        return with_values(X, X.values * self.n_fits_)


class FirstFrameMatters(RadialSums):
    def fit(self, X, y=None):
        super().fit(X)
        self.first_ = X[0].numbers.sum()
        return self

    def transform(self, X):
        X = super().transform(X)
        return with_values(X, X.values * self.first_)


class LosesStateInPickle(RadialSums):
    def transform(self, X):
        X = super().transform(X)
        return with_values(X, X.values * getattr(self, "scale_", 1.0))

    def fit(self, X, y=None):
        super().fit(X)
        self.scale_ = 2.0
        return self

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "scale_"}


class ThreadsMatter(RadialSums):
    def transform(self, X):
        X = super().transform(X)
        return with_values(X, X.values * (2 if self.n_jobs == 2 else 1))


class IgnoresStrangers(RadialSums):
    def fit(self, X, y=None):
        super().fit(X)
        self._channel_of = np.maximum(self._channel_of, 0)
        return self


class CountsColumns(RadialSums):
    def fit(self, X, y=None):
        super().fit(X)
        self.n_features_in_ = 1
        return self


class Companions(RadialSums):
    def transform(self, X):
        X = super().transform(X)
        return with_values(X, X.values - X.values.mean(axis=0))


class TakesListsOnly(RadialSums):
    def transform(self, X):
        if not isinstance(X, list):
            raise TypeError("a list, please")
        return super().transform(X)


class WritesToItsInput(RadialSums):
    def transform(self, X):
        for atoms in list(X):
            if hasattr(atoms, "wrap"):
                atoms.info["seen"] = True
        return super().transform(X)


class ReadsLabels(RadialSums):
    def transform(self, X):
        for atoms in X:
            if atoms.calc is not None:
                atoms.get_potential_energy()
        return super().transform(X)


class AcceptsAnything(RadialSums):
    def transform(self, X):
        from ase import Atoms

        return super().transform([X] if isinstance(X, Atoms) else X)


class Random(RadialSums):
    def transform(self, X):
        X = super().transform(X)
        return with_values(X, X.values + np.random.default_rng().normal())


class ReadsParameters(RadialSums):
    def _pairs(self, block):
        self.etas_ = np.array(self.etas)
        return super()._pairs(block)


class NamesParameters(RadialSums):
    def get_feature_names_out(self, input_features=None):
        return super().get_feature_names_out() + f"_{self.r_cut}"


class Tabular(RadialSums):
    def fit_transform(self, X, y=None):
        from sklearn import get_config

        tables = get_config()["transform_output"] == "pandas"
        X = self.fit(X).transform(X)
        return X.values if tables else X


class Directional(RadialSums):
    """Features that see x and y differently, and their signs."""

    def block_values(self, block, out):
        i, rows, value, _ = self._pairs(block)
        np.add.at(out, i, value * (1 + 0.1 * block.vectors[rows, :1]))


class SeesAbsolutePlace(RadialSums):
    def transform(self, X):
        X = super().transform(X)
        place = np.concatenate([a.positions for a in X.structures])
        return with_values(X, X.values + 0.01 * place[:, :1])


class SeesOrder(RadialSums):
    def transform(self, X):
        X = super().transform(X)
        first = np.arange(len(X.values)) - np.repeat(X.offsets[:-1], X.n_atoms)
        return with_values(X, X.values * (1 + first[:, None]))


class Jumps(RadialSums):
    """No cutoff function: values jump at r_cut."""

    def _pairs(self, block):
        i, rows, value, slope = super()._pairs(block)
        r2 = (block.vectors[rows] ** 2).sum(axis=1)[:, None]
        inside = (r2 < self.r_cut_**2) * (value != 0)
        return i, rows, value + 0.1 * inside, slope


class IsolatedIsNaN(RadialSums):
    def transform(self, X):
        X = super().transform(X)
        lonely = np.diff(X.pairs.offsets) == 0
        return with_values(X, np.where(lonely[:, None], np.nan, X.values))


class PositiveForces(RadialSums):
    def block_pullback(self, block, g, out):
        super().block_pullback(block, -g, out)


class NoForces(RadialSums):
    def block_pullback(self, block, g, out):
        out[:] = 0


class DoublePushforward(RadialSums):
    def block_pushforward(self, block, v, out):
        super().block_pushforward(block, 2 * v, out)


class DoubleJacobian(RadialSums):
    def block_jacobian(self, block, out):
        super().block_jacobian(block, out)
        out *= 2


class SlightlyWrongEverywhere(RadialSums):
    """All three derivatives agree with each other, and none with the values."""

    def block_values(self, block, out):
        i, _, value, _ = self._pairs(block)
        np.add.at(out, i, value * 1.0001)


CAUGHT = {
    FitReturnsNothing: "check_fit_returns_self",
    ChangesItsParameters: "check_fit_keeps_parameters",
    GivesArrays: "check_features_belong_to_atoms",
    NotANumber: "check_features_belong_to_atoms",
    OneNameTooFew: "check_names_match_columns",
    SameNames: "check_names_match_columns",
    GivesOnes: "check_features_vary",
    WorksUnfitted: "check_unfitted_is_refused",
    Remembers: "check_refit_equals_fresh_fit",
    FirstFrameMatters: "check_order_of_training_frames",
    LosesStateInPickle: "check_pickle",
    ThreadsMatter: "check_threads_agree",
    IgnoresStrangers: "check_unseen_species_is_named",
    CountsColumns: "check_no_number_of_columns_in_X",
    Companions: "check_one_by_one",
    TakesListsOnly: "check_every_sequence_is_alike",
    WritesToItsInput: "check_input_is_unchanged",
    ReadsLabels: "check_labels_are_not_read",
    AcceptsAnything: "check_wrong_input_is_refused",
    Random: "check_output_repeats_itself",
    ReadsParameters: "check_parameters_are_read_in_fit",
    NamesParameters: "check_parameters_are_read_in_fit",
    Tabular: "check_pandas_output_is_ignored",
    Directional: "check_rotation",
    SeesAbsolutePlace: "check_translation",
    SeesOrder: "check_permutation",
    Jumps: "check_continuity_at_cutoff",
    IsolatedIsNaN: "check_isolated_atoms",
    PositiveForces: "check_pullback_matches_differences",
    NoForces: "check_derivatives_are_not_zero",
    DoublePushforward: "check_pushforward_matches_differences",
    DoubleJacobian: "check_jacobian_holds_both",
    SlightlyWrongEverywhere: "check_strain_matches_differences",
}


@pytest.mark.parametrize("mutant", CAUGHT, ids=lambda cls: cls.__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_mistake_is_caught_by_its_check(mutant):
    assert fails(mutant(r_cut=3.5), CAUGHT[mutant])


@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        (Directional, "check_inversion"),
        (IgnoresStrangers, "check_ignored_species_are_absent"),
        (SeesAbsolutePlace, "check_unwrapped_atoms"),
        (SeesAbsolutePlace, "check_supercell"),
        (SlightlyWrongEverywhere, "check_pullback_matches_differences"),
        (PositiveForces, "check_pullback_and_pushforward_are_transposes"),
    ],
)
def test_one_mistake_may_fail_several_checks(mutant, check):
    assert fails(mutant(r_cut=3.5), check)


def test_a_sound_featurizer_passes_and_says_how_much_was_checked():
    report = check_featurizer(RadialSums())
    assert len(report.passed) > 30
    assert not report.skipped
    assert str(report) == f"{len(report.passed)} checks passed"


def test_checks_that_do_not_apply_are_reported():
    report = check_featurizer(RadialSums(), [molecule("H2O"), molecule("CH4")])
    assert "check_supercell" in report.skipped
    assert "no structure is periodic in 1 directions" in str(report)


def test_a_failure_names_check_and_reason():
    with pytest.raises(AssertionError, match="SeesOrder fails") as failure:
        check_featurizer(SeesOrder())
    message = str(failure.value)
    assert "- check_permutation: Features of frame 0 change with the order" in message


def test_the_frames_of_the_checks_cover_what_frames_can_be():
    frames = check_frames()
    assert {int(a.pbc.sum()) for a in frames} == {0, 1, 2, 3}
    assert min(map(len, frames)) == 1
    assert [len(a) for a in frames].count(2) == 2
    assert frames[0].positions.any()
    np.testing.assert_array_equal(frames[5].positions, check_frames()[5].positions)
