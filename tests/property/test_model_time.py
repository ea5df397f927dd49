"""Times and durations as text and back."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.model import Interval, InvalidInputError, format_duration, format_time, parse_duration, parse_time
from archiver.model.time import DAY_NS, MAX_TIME, MIN_TIME, NANOSECONDS

instants = st.integers(MIN_TIME, MAX_TIME)


@given(instants)
def test_every_instant_survives_as_text(instant: int) -> None:
    text = format_time(instant)
    assert parse_time(text) == instant
    assert len(text) == len("1970-01-01T00:00:00.000000000Z")


@given(st.lists(instants, min_size=2, max_size=2))
def test_text_sorts_as_the_instants_do(pair: list[int]) -> None:
    assert sorted(pair) == sorted(pair, key=format_time)


@given(st.datetimes(datetime(1678, 1, 1), datetime(2262, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_offsets_agree_with_datetime(local: datetime, minutes: int) -> None:
    moment = local.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    micros = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert parse_time(moment.isoformat()) == micros * 1000
    assert parse_time(moment.isoformat(" ")) == micros * 1000


@given(st.integers(10**11, MAX_TIME))
def test_integers_are_nanoseconds(instant: int) -> None:
    assert parse_time(str(instant)) == instant


@given(st.integers(0, 290), st.sampled_from(["ns", "us", "ms", "s", "m", "min", "h", "d", "w", "y"]))
def test_durations_add_up(number: int, unit: str) -> None:
    one = parse_duration(f"1{unit}")
    assert parse_duration(f"{number}{unit}") == number * one
    assert parse_duration(f" 1h{number}{unit} ") == 3600 * NANOSECONDS + number * one
    assert parse_time(f"now-{number}{unit}", at=0) == -number * one
    assert parse_time(f"now+{number}{unit}", at=7) == 7 + number * one


@given(st.text(max_size=12))
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (parse_time, parse_duration):
        with contextlib.suppress(InvalidInputError):
            assert MIN_TIME <= parse(text) <= MAX_TIME


@given(instants, instants, instants, instants, instants)
def test_intersection_is_what_lies_in_both(a: int, b: int, c: int, d: int, at: int) -> None:
    one, other = Interval(min(a, b), max(a, b)), Interval(min(c, d), max(c, d))
    both = one.intersect(other)
    assert (both is not None and at in both) == (at in one and at in other)
    assert both == other.intersect(one)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00",
        "2026-01-01",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:00.1234567890Z",
        "1600-01-01T00:00:00Z",
        "2300-01-01T00:00:00Z",
        "9999999999999999999",
        "now-",
        "now+292y",
        "2026-01-01T00:00:0\u0660Z",
        "now-5",
        "nowhere",
        "12345",
        "",
    ],
)
def test_times_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_time(text)


@pytest.mark.parametrize("text", ["", "5", "s", "1h 30", "1.s", "-1s", "1x", "1 h1", "1e3s", "293y", "\u0661s"])
def test_durations_that_are_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        parse_duration(text)


def test_fractions_and_spaces() -> None:
    assert parse_duration("1.5h") == 5400 * NANOSECONDS
    assert parse_duration("0.1s") == 100_000_000
    assert parse_duration("1 d12 h") == DAY_NS * 3 // 2
    assert parse_time("2026-01-01T00:00Z") == parse_time("2026-01-01 01:00:00+01:00") == 1767225600 * NANOSECONDS


def test_an_interval_does_not_run_backwards() -> None:
    with pytest.raises(InvalidInputError, match="before it starts"):
        Interval(1, 0)
    assert 0 not in Interval(0, 0)
    assert Interval(0, 5).intersect(Interval(5, 9)) is None


@given(st.integers(0, MAX_TIME))
def test_a_duration_reads_back_as_it_was_written(duration: int) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize("text", ["0s", "1ns", "200ms", "10s", "1h30m", "7d", "366d", "5y", "1s500ms"])
def test_a_duration_is_written_as_a_person_would(text: str) -> None:
    assert format_duration(parse_duration(text)) == text
