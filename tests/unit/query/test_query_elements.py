"""Names and globs; and the page that tells of queries."""

import doctest
from pathlib import Path

import pytest

from archiver.model import InvalidInputError, NotFoundError
from archiver.query import elements, expand


def test_expand_takes_names_before_globs_and_keeps_names_that_are_not_known():
    known = ["P1", "P2", "T1", "T[1]", "t1"]
    assert expand(["P?", "T[1]", "Y"], known) == ("P1", "P2", "T[1]", "Y")
    assert expand(["T*", "T1"], known) == ("T1", "T[1]")


def test_a_glob_that_matches_nothing_is_an_error():
    with pytest.raises(NotFoundError, match=r"no element matches 'plant/\*'; did you mean 'plant'\?"):
        expand(["P", "plant/*"], ["P", "plant"])
    with pytest.raises(NotFoundError, match=r"no element matches 'q\?'; `forebay elements` lists"):
        expand(["q?"], [])


def test_globs_that_match_too_much_are_an_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(elements, "MOST", 3)
    known = ["a1", "a2", "a3", "b1"]
    assert len(expand(["a*"], known)) == 3
    with pytest.raises(InvalidInputError, match=r"'b\?' and what else is asked for are 4 elements.* takes 3"):
        expand(["a*", "b?"], known)


def test_the_example_of_the_reference_runs():
    page = Path(__file__).parents[3] / "docs/reference/query.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert tried > 5
    assert failed == 0
