"""Model files that were written before still load, and predict what they did then."""

from pathlib import Path

import numpy as np
import pytest
from make_files import answers, exemplars
from test_save_load import classes_in

from skatom.persistence import load
from skatom.structures._samples import check_frames, with_labels

FILES = Path(__file__).parent / "files"


@pytest.fixture(scope="module")
def expected():
    with np.load(FILES / "expected.npz") as archive:
        return dict(archive)


def test_there_is_a_file_of_every_exemplar():
    assert {path.stem for path in FILES.glob("*.skatom")} == set(exemplars())


@pytest.mark.filterwarnings("ignore:.*was written with")  # another scikit-learn
@pytest.mark.parametrize("path", sorted(FILES.glob("*.skatom")), ids=lambda p: p.stem)
def test_a_file_predicts_what_was_predicted_when_it_was_written(path, expected):
    found = answers(load(path), with_labels(check_frames()))
    # another processor adds up in another order
    np.testing.assert_allclose(found, expected[path.stem], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("path", sorted(FILES.glob("*.skatom")), ids=lambda p: p.stem)
def test_no_file_names_a_private_class(path):
    private = [
        name
        for name in classes_in(path)
        if name.startswith("skatom.") and (name.count(".") > 2 or "._" in name)
    ]
    assert not private
