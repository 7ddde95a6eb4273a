"""The page of faults names tests that are there."""

import re
from pathlib import Path

import pytest

import skatom.testing

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/explanation/faults.md").read_text()
NAMED = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_on_the_page_is_there(file, name):
    assert f"def {name or 'test_'}" in (TESTS / file).read_text()


def test_every_check_on_the_page_is_public():
    checks = set(re.findall(r"`(check_\w+)`", PAGE))
    assert len(NAMED) > 30
    assert checks <= set(skatom.testing.__all__)
