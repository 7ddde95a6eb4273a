"""Every shipped check of models catches the mistake it is made for."""

from unittest import SkipTest

import numpy as np
import pytest
from ase import Atoms
from radial import RadialSums
from sklearn.base import BaseEstimator, RegressorMixin

from skatom.features import NoDerivativeError
from skatom.models import AtomicRidge, CompositionBaseline
from skatom.structures import check_structures
from skatom.testing import check_regressor, regressor_checks


class Springs(RegressorMixin, BaseEstimator):
    """A sound model: composition, and pair sums with one fitted strength."""

    def fit(self, X, y):
        structures = check_structures(X)
        self.features_ = RadialSums(r_cut=3.5, etas=(0.5,)).fit(structures)
        self.model_ = AtomicRidge(alpha=1e-6, forces=None)
        self.model_.fit(self.features_.transform(structures), y)
        return self

    def predict(self, X):
        self._check()
        return self.model_.predict(self.features_.transform(X))

    def predict_forces(self, X):
        X = self.features_.transform(X)
        flat = X.pairs.forces(X.pullback(self.model_.feature_gradient(X)))
        return np.split(flat, X.offsets[1:-1])

    def predict_stress(self, X):
        X = self.features_.transform(X)
        virial = X.pairs.virial(X.pullback(self.model_.feature_gradient(X)), X.offsets)
        volumes = np.array([a.cell.volume for a in X.structures])
        stress = virial / volumes[:, None, None]
        return stress[:, [0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]

    def predict_atomic_energies(self, X):
        X = self.features_.transform(X)
        return np.split(self.model_.predict_atoms(X), X.offsets[1:-1])

    def _check(self):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.no_validation = True
        return tags


class PerAtomEnergies(Springs):
    """Not extensive: the mean over atoms."""

    def predict(self, X):
        return super().predict(X) / check_structures(X).n_atoms


class ForcesWithoutSign(Springs):
    def predict_forces(self, X):
        return [-f for f in super().predict_forces(X)]


class NetForce(Springs):
    def predict_forces(self, X):
        return [f + 0.1 for f in super().predict_forces(X)]


class PushesLoneAtoms(Springs):
    def predict_forces(self, X):
        return [f + 0.1 * (len(f) == 1) for f in super().predict_forces(X)]


class PushesCrystals(Springs):
    """A net force where nobody looks at the torque."""

    def predict_forces(self, X):
        pairs = zip(super().predict_forces(X), X)
        return [f + 0.1 * bool(atoms.pbc.any()) for f, atoms in pairs]


class TurnsMolecules(Springs):
    """A torque without a net force."""

    def predict_forces(self, X):
        arms = [atoms.positions - atoms.positions.mean(axis=0) for atoms in X]
        pairs = zip(super().predict_forces(X), arms)
        return [f + np.cross([0.0, 0.0, 0.1], arm) for f, arm in pairs]


class PullsTheFirstToTheLast(Springs):
    """Forces that rotate with the structure, but do not follow the order of atoms."""

    def predict_forces(self, X):
        forces = super().predict_forces(X)
        for f, atoms in zip(forces, X):
            pull = 0.1 * (atoms.positions[-1] - atoms.positions[0])
            f[0] += pull
            f[-1] -= pull
        return forces


class PressureInsteadOfStress(Springs):
    def predict_stress(self, X):
        return -super().predict_stress(X)


class VoigtMixedUp(Springs):
    def predict_stress(self, X):
        return super().predict_stress(X)[:, [0, 1, 2, 5, 4, 3]]


class UnevenShares(Springs):
    def predict_atomic_energies(self, X):
        return [e * 1.01 for e in super().predict_atomic_energies(X)]


class SeesAbsolutePlace(Springs):
    def predict(self, X):
        place = [a.positions[:, 0].mean() for a in check_structures(X)]
        return super().predict(X) + 0.01 * np.array(place)


class SeesTheFirstAtom(Springs):
    def predict(self, X):
        return super().predict(X) + [float(a.numbers[0]) for a in check_structures(X)]


class SeesTheCell(Springs):
    def predict(self, X):
        return super().predict(X) + [a.cell.array.sum() for a in check_structures(X)]


class NeverLearns(Springs):
    def fit(self, X, y):
        from skatom._validation import check_targets

        y = check_targets(y, len(check_structures(X)))
        return super().fit(X, np.zeros(len(y)))


class BelievesAnything(Springs):
    def fit(self, X, y):
        y = np.zeros(len(check_structures(X))) if y is None else np.asarray(y, float)
        y = np.resize(np.nan_to_num(y), len(check_structures(X)))
        return super().fit(X, y)


class PredictsColumns(Springs):
    def predict(self, X):
        return super().predict(X)[:, None]


class WantsArrays(Springs):
    def fit(self, X, y):
        return super().fit(X, y + 0.0)


class FullOfNaN(Springs):
    def predict(self, X):
        energies = super().predict(X)
        lonely = check_structures(X).n_atoms == 1
        return np.where(lonely, np.nan, energies)


class ReadsEnergies(Springs):
    def predict(self, X):
        stored = [
            0.0 if a.calc is None else a.get_potential_energy()
            for a in check_structures(X)
        ]
        return super().predict(X) + stored


class OtherEnergiesBesideForces(AtomicRidge):
    def compute_with_gradient(self, X):
        energies, gradient = super().compute_with_gradient(X)
        return energies + 1e-3, gradient


CAUGHT = {
    OtherEnergiesBesideForces: "check_energies_beside_forces",
    PerAtomEnergies: "check_energy_of_supercell",
    ForcesWithoutSign: "check_forces_match_differences",
    NetForce: "check_forces_balance",
    PushesLoneAtoms: "check_energy_of_isolated_atoms",
    PushesCrystals: "check_forces_balance",
    TurnsMolecules: "check_forces_balance",
    PullsTheFirstToTheLast: "check_forces_follow_the_structure",
    PressureInsteadOfStress: "check_stress_matches_differences",
    VoigtMixedUp: "check_stress_matches_differences",
    UnevenShares: "check_energies_of_atoms_sum_up",
    SeesAbsolutePlace: "check_energy_under_translation",
    SeesTheFirstAtom: "check_energy_under_permutation",
    SeesTheCell: "check_energy_of_other_cell",
    NeverLearns: "check_targets_matter",
    BelievesAnything: "check_wrong_targets_are_refused",
    PredictsColumns: "check_predictions_are_energies",
    WantsArrays: "check_lists_of_numbers_are_targets",
    FullOfNaN: "check_energy_of_isolated_atoms",
    ReadsEnergies: "check_labels_are_not_read",
}


def fails(regressor, name: str) -> bool:
    """Whether a model fails a check; the others are not run."""
    (check,) = (c for c in regressor_checks(regressor) if c.func.__name__ == name)
    try:
        check()
    except SkipTest:
        return False
    except Exception:  # a check may also stumble over a broken model
        return True
    return False


def test_a_sound_model_passes():
    report = check_regressor(Springs())
    assert len(report.passed) > 30
    assert not report.skipped


@pytest.mark.parametrize("mutant", CAUGHT, ids=lambda cls: cls.__name__)
def test_a_mistake_is_caught_by_its_check(mutant):
    assert fails(mutant(), CAUGHT[mutant])


@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        (SeesAbsolutePlace, "check_energy_under_rotation"),
        (SeesAbsolutePlace, "check_energy_of_unwrapped_atoms"),
        (SeesTheCell, "check_energy_of_left_handed_cell"),
        (NetForce, "check_forces_follow_the_structure"),
        (PerAtomEnergies, "check_energy_of_distant_parts"),
    ],
)
def test_one_mistake_may_fail_several_checks(mutant, check):
    assert fails(mutant(), check)


def test_properties_that_are_not_extensive_are_not_asked_to_add_up():
    class Mean(Springs):
        def predict(self, X):
            return super().predict(X) / check_structures(X).n_atoms

        def predict_forces(self, X):
            raise NoDerivativeError("none")

        predict_stress = predict_atomic_energies = predict_forces

    names = {c.func.__name__: c for c in regressor_checks(Mean(), extensive=False)}
    for name in ("check_energy_of_supercell", "check_forces_match_differences"):
        with pytest.raises(BaseException, match=r"not an extensive|no forces: none"):
            names[name]()


def test_models_of_features_get_a_featurizer_in_front():
    report = check_regressor(AtomicRidge(), featurizer=RadialSums(r_cut=3.0))
    assert "check_forces_match_differences" in report.passed


def test_frames_and_targets_of_the_user_are_used(water):
    frames = [water, Atoms("H2", [[0, 0, 0], [0, 0, 0.8]]), Atoms("O")]
    report = check_regressor(CompositionBaseline(), frames, [-14.0, -6.0, -3.0])
    assert "check_energy_of_supercell" in report.skipped


def test_frames_without_labels_need_targets(water):
    with pytest.raises(ValueError, match="No energy at structures 0"):
        check_regressor(CompositionBaseline(), [water])
