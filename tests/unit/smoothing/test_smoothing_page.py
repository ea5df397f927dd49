"""The page on smoothing says what the code does."""

import doctest
import re
from pathlib import Path

import pytest

from archiver.model import SampleBatch, Smoothing, SmoothingKind
from archiver.smoothing import Smoother

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "smoothing.md"
SECOND = 10**9


def test_its_example_runs():
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted
    assert not result.failed


def rows_of_tables():
    """Yield the kinds and the (value, seconds, stored) of each row of the tables of outcomes."""
    header = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found = [re.fullmatch(r"([\d.]+) after (\d+) s", cell) for cell in cells[1:]]
        if found and all(found):
            header = [(float(match[1]), int(match[2])) for match in found]
        elif not line.startswith("|"):
            header = []
        elif header and cells[0].startswith("`"):
            for kind in re.findall(r"`(\w+)`", cells[0]):
                for (value, seconds), cell in zip(header, cells[1:], strict=True):
                    yield kind, value, seconds, cell == "stored"


@pytest.mark.parametrize(("kind", "value", "seconds", "stored"), list(rows_of_tables()))
def test_its_tables_are_right(kind, value, seconds, stored):
    smoother = Smoother(Smoothing(SmoothingKind(kind), 1.0, 10 * SECOND))
    result = smoother.apply(SampleBatch.from_columns("a", [0, seconds * SECOND], [100.0, value]))
    assert (result.stored.num_rows == 2) is stored


def test_it_names_every_kind():
    named = set(re.findall(r"`(\w+)`", PAGE.read_text(encoding="utf-8")))
    assert {kind.value for kind in SmoothingKind} <= named
