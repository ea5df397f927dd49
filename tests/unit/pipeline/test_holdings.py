"""The book of what each backend holds: terms, what is lacking, what was filled, and all of it over a restart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archiver.model import ArchiveGroup, Interval, Smoothing, SmoothingKind
from archiver.model.holding import Cause
from archiver.model.time import MAX_TIME, MIN_TIME
from archiver.pipeline.holdings import Holdings
from archiver.pipeline.store import Store

FUTURE = 10
ALL = ArchiveGroup("all", ("*",), ("lake", "warm"))
HOT = ArchiveGroup("hot", ("P*",), ("warm",))
THIN = ArchiveGroup("thin", ("*",), ("lake",), smoothing=Smoothing(SmoothingKind.VALUE, 1.0))


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "archive.db")
    yield store
    store.close()


@pytest.fixture
def book(store):
    book = Holdings(store, FUTURE)
    book.use(("lake", "warm"), 0)
    return book


def of(book, element="P1", groups=()):
    ((holdings, members),) = book.classes([element], groups)
    assert members == [element]
    return {holding.backend: holding for holding in holdings}


def named(*groups):
    return {group.name: group for group in groups}


def test_who_was_there_first_has_all_and_who_came_later_from_then_on(book):
    book.begin("lake", named(ALL), MIN_TIME)
    book.begin("warm", named(ALL), 1000)
    held = of(book)
    assert held["lake"].exact == (Interval(MIN_TIME, MAX_TIME),)
    assert held["warm"].exact == (Interval(1000 + FUTURE, MAX_TIME),)
    (lack,) = held["warm"].lacks
    assert (lack.interval.end, lack.cause) == (1010, Cause.NOT_YET)


def test_what_nobody_stored_is_nobodys_to_lack(book):
    book.begin("lake", named(ALL), 500)
    book.begin("warm", named(ALL), 500)
    assert [holding.exact for holding in of(book).values()] == [(Interval(MIN_TIME, MAX_TIME),)] * 2


def test_an_element_that_a_group_takes_in_later_is_held_since_then(book):
    book.begin("lake", named(ALL), MIN_TIME)
    book.begin("warm", named(HOT), MIN_TIME)
    assert list(of(book, "Q1")) == ["lake"]
    book.begin("warm", named(replace(HOT, elements=("P*", "Q*"))), 2000)
    assert of(book, "Q1")["warm"].exact == (Interval(2000 + FUTURE, MAX_TIME),)
    assert of(book, "P1")["warm"].exact == (Interval(MIN_TIME, MAX_TIME),)  # in both terms, without a hole


def test_what_is_smoothed_is_thinned_and_another_group_of_the_backend_makes_up_for_it(book):
    book.begin("lake", named(THIN), MIN_TIME)
    assert of(book)["lake"].thinned == (Interval(MIN_TIME, MAX_TIME),)
    assert of(book)["lake"].exact == ()
    book.begin("lake", named(THIN, HOT), MIN_TIME)
    assert of(book)["lake"].exact == (Interval(MIN_TIME, MAX_TIME),)
    assert of(book, groups=("thin",))["lake"].exact == ()


def test_what_is_lacking_is_cut_out_and_told(book):
    book.begin("lake", named(ALL), MIN_TIME)
    book.lack("lake", "all", Interval(100, 200), Cause.DROPPED, "the journal was full")
    book.lack("lake", "all", Interval(200, 300), Cause.DROPPED, "the journal was full")
    book.lack("lake", "other", Interval(0, 1000), Cause.DROPPED, "of another group")
    held = of(book)["lake"]
    assert held.exact == (Interval(MIN_TIME, 100), Interval(300, MAX_TIME))
    assert [(lack.interval, lack.cause) for lack in held.lacks] == [(Interval(100, 300), Cause.DROPPED)]
    assert held.lacking(Interval(150, 160))[0].interval == Interval(150, 160)


def test_retention_drops_everything_before_its_end(book):
    book.begin("lake", named(ALL), MIN_TIME)
    for start, end in ((100, 200), (400, 500)):
        book.lack("lake", "all", Interval(start, end), Cause.RETENTION, "dropped")
    assert of(book)["lake"].exact == (Interval(MIN_TIME, 100), Interval(500, MAX_TIME))


def test_a_copy_gives_what_its_source_has_and_what_is_lost_later_is_lost(book):
    book.begin("lake", named(ALL), MIN_TIME)
    book.begin("warm", named(ALL), 1000)
    book.lack("lake", "all", Interval(300, 400), Cause.DROPPED, "lost")
    book.fill("lake", "warm", [ALL], Interval(200, 1010), None, ["all"])
    assert of(book)["warm"].exact == (Interval(200, 300), Interval(400, MAX_TIME))
    book.lack("warm", "all", Interval(500, 600), Cause.LOST, "lost again")
    assert of(book)["warm"].exact == (Interval(200, 300), Interval(400, 500), Interval(600, MAX_TIME))


def test_a_copy_of_some_elements_is_theirs_alone(book):
    book.begin("lake", named(ALL), MIN_TIME)
    book.begin("warm", named(ALL), 1000)
    book.fill("lake", "warm", [ALL], Interval(0, 5000), ["P[1]"], ["all"])
    assert of(book, "P[1]")["warm"].exact[0].start == 0
    assert of(book, "P1")["warm"].exact[0].start == 1010


def test_a_backend_that_is_gone_is_known_to_have_held_it(book):
    book.begin("lake", named(ALL), MIN_TIME)
    book.begin("warm", named(ALL), 1000)
    book.use(("warm",), 3000)
    held = of(book)
    assert (held["lake"].configured, held["warm"].configured) == (False, True)
    assert held["lake"].exact == (Interval(MIN_TIME, 3000),)


def test_the_book_is_the_same_after_a_restart(store, book):
    book.begin("lake", named(ALL, THIN), MIN_TIME)
    book.begin("warm", named(HOT), 1000)
    book.lack("warm", "hot", Interval(1500, 1600), Cause.DROPPED, "lost")
    book.fill("lake", "warm", [HOT], Interval(0, 500), ["P1"], [])
    again = Holdings(store, FUTURE)
    again.use(("lake", "warm"), 0)
    assert again.knows("warm")
    assert of(again) == of(book)


def test_elements_that_fare_alike_come_together(book):
    book.begin("lake", named(ALL), MIN_TIME)
    book.begin("warm", named(HOT), MIN_TIME)
    assert [members for _, members in book.classes(["P1", "Q1", "P2", "Q2"])] == [["P1", "P2"], ["Q1", "Q2"]]
