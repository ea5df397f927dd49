"""Names that do not exist get the nearest that do."""

from __future__ import annotations

from archiver.model.near import did_you_mean, near


def test_near_finds_other_case_and_typing_errors():
    assert near("temperatur", ["Pressure", "temperature"]) == ["temperature"]
    assert near("TIC101", ["tic101", "Flow"]) == ["tic101"]
    assert near("q", ["Pressure"]) == []


def test_both_at_once_and_all_that_differ_in_case_only():
    assert near("PARKET", ["Sql", "Parquet"]) == ["Parquet"]
    assert near("ab", ["aB", "Ab", "c"]) == ["aB", "Ab"]


def test_the_near_one_among_very_many_is_found():
    assert near("P:050000:TEMPX", (f"P:{i:06d}:TEMP" for i in range(100_000)), 1) == ["P:050000:TEMP"]


def test_nothing_near_says_something_else():
    assert did_you_mean("x", ["temperature"], "there are others") == "there are others"
    assert did_you_mean("x", [], "none") == "none"
