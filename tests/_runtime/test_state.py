"""Private classes are stored as dictionaries of arrays under names of their own."""

import pickle
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from skatom._runtime.state import KeepsState, State, StateError, apart, together


@dataclass(frozen=True)
class Leaf(State):
    _name = "leaf"
    values: np.ndarray


class Tree(State):
    _name = "tree"
    _states = (Leaf,)
    _not_stored = ("cache",)

    def __init__(self, leaves):
        self.leaves = leaves
        self.cache = "computed"


class Forest(KeepsState, BaseEstimator):
    _states = (Tree, Leaf)

    def __init__(self, size=1):
        self.size = size

    def fit(self):
        leaf = Leaf(np.arange(3.0))
        self.trees_ = [Tree((leaf, leaf)), Tree(())]
        self.by_name_ = {"first": leaf, 2: None}
        return self


def holds_state(value) -> bool:
    if isinstance(value, dict):
        return any(map(holds_state, value.values()))
    if isinstance(value, list | tuple):
        return any(map(holds_state, value))
    return isinstance(value, State)


def test_no_private_object_is_left_in_what_is_stored():
    assert not holds_state(Forest().fit().__getstate__())


@pytest.mark.parametrize("copied", [deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_hold_equal_objects(copied):
    again = copied(Forest().fit())
    np.testing.assert_array_equal(again.trees_[0].leaves[1].values, [0, 1, 2])
    assert isinstance(again.by_name_["first"], Leaf)
    assert again.by_name_[2] is None
    assert not hasattr(again.trees_[0], "cache")


def test_a_clone_is_not_fitted():
    assert not hasattr(clone(Forest(3).fit()), "trees_")
    assert clone(Forest(3)).size == 3


def test_a_parameter_called_state_is_no_state():
    assert pickle.loads(pickle.dumps(Forest({"state": "leaf"}))).size == {
        "state": "leaf"
    }


def test_a_state_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"state of kind 'leaf'; tree may be here"):
        together(apart(Leaf(np.zeros(1))), (Tree,))


@pytest.mark.parametrize(
    "parameters", [None, [1.0], {"rc": [1.0]}, {1: 2.0}, {"rc": np.ones(2)}]
)
def test_calculators_are_built_of_numbers_only(parameters):
    state = {"__state__": "ase.calculators.lj.LennardJones", "parameters": parameters}
    with pytest.raises(StateError, match="LennardJones has parameters that are no num"):
        together(state, ())


def test_other_calculators_are_not_built():
    state = {"__state__": "ase.calculators.vasp.Vasp", "parameters": {"command": "rm"}}
    with pytest.raises(
        StateError, match=r"kind 'ase\.calculators\.vasp\.Vasp'; none may"
    ):
        together(state, ())
