"""Kinds, status bits, groups and element metadata."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from archiver.model import ArchiveGroup, ConfigurationError, InvalidInputError, Kind, Metadata, Smoothing, SmoothingKind
from archiver.model.kind import VALUE_KINDS, kind_of
from archiver.model.status import (
    Status,
    is_bad,
    is_default,
    is_gap,
    is_invalid,
    is_online_bad,
    names_of,
)


def test_codes_of_kinds_are_stored_and_never_change() -> None:
    assert {kind.name: int(kind) for kind in Kind} == {
        "NONE": 0,
        "FLOAT": 1,
        "INT": 2,
        "UINT": 3,
        "BOOL": 4,
        "TEXT": 5,
        "BINARY": 6,
        "ENUM": 7,
        "FLOATS": 11,
        "INTS": 12,
        "UINTS": 13,
        "BOOLS": 14,
        "TEXTS": 15,
        "BINARIES": 16,
        "ENUMS": 17,
    }


def test_an_array_kind_holds_items_of_its_scalar_kind() -> None:
    for kind in VALUE_KINDS:
        assert kind.is_list == (kind.item is not kind)
        assert kind.arrow_type == (pa.list_(kind.item.arrow_type) if kind.is_list else kind.arrow_type)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        (pa.float32(), Kind.FLOAT),
        (pa.int8(), Kind.INT),
        (pa.uint16(), Kind.UINT),
        (pa.bool_(), Kind.BOOL),
        (pa.large_string(), Kind.TEXT),
        (pa.dictionary(pa.int8(), pa.utf8()), Kind.TEXT),
        (pa.large_binary(), Kind.BINARY),
        (pa.null(), Kind.NONE),
        (pa.list_(pa.int32()), Kind.INTS),
        (pa.large_list(pa.float64()), Kind.FLOATS),
        (pa.list_(pa.utf8(), 3), Kind.TEXTS),
    ],
)
def test_kind_of_an_arrow_type(type_: pa.DataType, kind: Kind) -> None:
    assert kind_of(type_) is kind


@pytest.mark.parametrize(
    "type_",
    [pa.timestamp("ns"), pa.struct([("a", pa.int64())]), pa.list_(pa.null()), pa.list_(pa.list_(pa.int64()))],
    ids=str,
)
def test_a_type_that_no_kind_holds(type_: pa.DataType) -> None:
    with pytest.raises(InvalidInputError, match="cannot be archived"):
        kind_of(type_)


def _bits(*flags: Status) -> np.ndarray:
    return np.array([int(flag) for flag in flags], np.uint64)


def test_qualities_are_those_of_wincc_oa() -> None:
    bits = _bits(
        Status(0),
        Status.EXP_INV,
        Status.AUT_INV,
        Status.STIME_INV,
        Status.OUT_PRANGE,
        Status.OUT_RANGE,
        Status.EXP_DEFAULT | Status.EXP_INV,
        Status.AUT_DEFAULT | Status.DEFAULT_BAD,
        Status.DEFAULT_BAD,
    )
    assert is_invalid(bits).tolist() == [False, True, True, True, False, False, True, False, False]
    assert is_bad(bits).tolist() == [False, True, True, True, True, False, True, False, False]
    assert is_default(bits).tolist() == [False] * 6 + [True, True, False]
    # a default value in use hides a bad original; a bad default value is bad
    assert is_online_bad(bits).tolist() == [False, True, True, True, True, False, False, True, False]


def test_a_gap_is_not_a_confirmation() -> None:
    bits = _bits(Status(0), Status.DISCONNECTED, Status.PAUSED, Status.UNCHANGED)
    assert is_gap(bits).tolist() == [False, True, True, False]


def test_every_bit_has_a_name() -> None:
    names = names_of(2**64 - 1)
    assert len(names) == len(set(names)) == 64
    assert names_of(1 << 56 | 1 << 63 | 1 << 7) == ["bit7", "disconnected", "bit63"]
    assert names_of(0) == []


@pytest.mark.parametrize(
    ("elements", "exclude", "inside", "outside"),
    [
        (("a",), (), ["a"], ["A", "aa", "", "a\n"]),
        (("BAR:*",), (), ["BAR:", "BAR:x\ny"], ["BAR", "xBAR:"]),
        (("a?c", "x"), (), ["abc", "x"], ["ac", "abbc"]),
        (("*",), ("secret.*",), ["a", ""], ["secret.x"]),
        (("regex:(ä|b)+",), (), ["äb"], ["äbc", "xäb"]),
        (("regex:a|b", "c"), (), ["a", "b", "c"], ["ac", "bc"]),
        (("a.b",), (), ["a.b"], ["axb"]),
        ((), (), [], ["", "a"]),
    ],
)
def test_which_elements_belong_to_a_group(
    elements: tuple[str, ...], exclude: tuple[str, ...], inside: list[str], outside: list[str]
) -> None:
    group = ArchiveGroup("g", elements, ("b",), exclude)
    assert [name for name in (*inside, *outside) if group.matches(name)] == inside


def test_smoothing_names_what_it_lacks() -> None:
    with pytest.raises(ConfigurationError, match=r"tolerance[\s\S]*min_interval") as refused:
        Smoothing(SmoothingKind.TIME_AND_VALUE)
    assert len(refused.value.problems) == 2
    for tolerance in (-1.0, float("nan")):
        with pytest.raises(ConfigurationError, match="zero or more"):
            Smoothing(SmoothingKind.VALUE, tolerance=tolerance)
    assert Smoothing(SmoothingKind.TIME, min_interval_ns=1).kind.uses_time


def test_metadata_versions_compare_by_value() -> None:
    assert Metadata(unit="K", states={0: "off"}) == Metadata(unit="K", states={0: "off"})
    assert Metadata(unit="K") != Metadata(unit="°C")
