"""Names, globs and near misses; and the page that tells of queries."""

import doctest
from pathlib import Path

from archiver.query import expand, near


def test_expand_takes_names_before_globs_and_keeps_what_matches_nothing():
    known = ["P1", "P2", "T1", "T[1]", "t1"]
    assert expand(["P?", "T[1]", "X*", "Y"], known) == ("P1", "P2", "T[1]", "X*", "Y")
    assert expand(["T*", "T1"], known) == ("T1", "T[1]")


def test_near_finds_other_case_and_typing_errors():
    assert near("temperatur", ["Pressure", "temperature"]) == ["temperature"]
    assert near("TIC101", ["tic101", "Flow"]) == ["tic101"]
    assert near("q", ["Pressure"]) == []


def test_the_example_of_the_reference_runs():
    page = Path(__file__).parents[3] / "docs/reference/query.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert tried > 5
    assert failed == 0
