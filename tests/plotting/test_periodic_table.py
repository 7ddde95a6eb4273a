"""PeriodicTableDisplay: every element in its place, pseudo-elements from any estimator."""

import sys

import numpy as np
import pytest
from ase.build import molecule
from sklearn.pipeline import make_pipeline

from skatom.featurizers import ACSF
from skatom.models import AtomicRidge
from skatom.plotting import PeriodicTableDisplay
from skatom.plotting.periodic_table import place
from skatom.preprocessing import AlchemicalCompression


def test_every_element_has_a_place_of_its_own():
    assert len({place(z) for z in range(1, 119)}) == 118
    known = {1: (0, 0), 2: (0, 17), 8: (1, 15), 26: (3, 7), 57: (7, 3), 72: (5, 3)}
    assert {z: place(z) for z in known} == known


@pytest.fixture
def fitted():
    frames = [molecule("CH3OH"), molecule("H2O")]
    pipeline = make_pipeline(
        ACSF(4.0), AlchemicalCompression(3), AtomicRidge(forces=None)
    )
    return pipeline.fit(frames, [0.0, 1.0])


def test_numbers_stand_in_the_places_of_their_elements(fitted):
    display = PeriodicTableDisplay.from_estimator(fitted)
    assert [ax.get_title() for ax in display.axes_] == ["J0", "J1", "J2"]
    U = fitted[1].alchemical_components_
    for ax, row in zip(display.axes_, U):
        drawn = ax.images[0].get_array()
        for z, value in zip((1, 6, 8), row):
            np.testing.assert_allclose(drawn[place(z)], value)
        assert np.ma.count(np.ma.masked_invalid(drawn)) == 3


def test_axes_may_be_given(fitted):
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(3)
    display = PeriodicTableDisplay.from_estimator(fitted[1], axes=axes)
    assert display.axes_ == list(axes)
    with pytest.raises(ValueError, match="3 pseudo-elements and 2 axes"):
        display.plot(axes[:2])


def test_what_has_no_pseudo_elements_is_refused(fitted):
    with pytest.raises(ValueError, match="AtomicRidge has no pseudo-elements: fit an"):
        PeriodicTableDisplay.from_estimator(fitted[-1])
    with pytest.raises(ValueError, match="components has 2 columns for 1 species"):
        PeriodicTableDisplay([[1.0, 2.0]], ["H"]).plot()


def test_a_missing_matplotlib_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skatom\[viz\]"'):
        PeriodicTableDisplay([[1.0]], ["H"]).plot()
