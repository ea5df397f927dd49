"""What lies in a database: the tags and fields of a sample, and the place of each kind of value.

::

    <group>,element=plant/T1,kind=float receive_time=…i,status=0i,write=7i,float=20.5 <source time>

A value is in the field that the tag ``kind`` names, so a field has one type for ever. Tags that are rarely there:

``parts``        a value longer than a field holds goes on in ``<kind>_1``, ``<kind>_2``, …
``sequence``     order among samples of equal element and time, when it is not 0
``source_time``  the exact time, ns, of a sample before or after what InfluxDB holds; the point lies at that edge
``version``      of a sample that was corrected: 1, 2, … after the first
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from archiver.model import Kind
from archiver.model.kind import VALUE_KINDS

STATE = "forebay.state"
SEGMENTS = "forebay.segments"
FIRST_TIME = -9_200_000_000_000_000_000
LAST_TIME = 9_200_000_000_000_000_000
"""The times at which points lie, both included. InfluxDB's own bounds are a little wider, and its shards are not."""

SAMPLE_TAGS = ("element", "kind", "parts", "sequence", "source_time", "version")
PART_LENGTH = 2**19
MOST_PARTS = 256
NUMBER_KINDS = (Kind.INT, Kind.UINT, Kind.ENUM)
LARGEST = 1e290
FLOAT_BITS = "float_bits"
"""Place of floats that InfluxDB cannot hold, compare or add: NaN, infinities, -0.0, and numbers beyond `LARGEST`.

Their bits, as an integer. Finite ones are in ``float`` as well, for others to see.
"""
TEXT_BASE64 = "text_base64"
"""Place of text with control characters, or too long for a field: UTF-8 as base64."""

KINDS: dict[str, Kind] = {
    "none": Kind.NONE,
    FLOAT_BITS: Kind.FLOAT,
    TEXT_BASE64: Kind.TEXT,
    **{kind.column: kind for kind in VALUE_KINDS},
}
"""Kind of value by the value of the tag ``kind``."""

BASE64 = (TEXT_BASE64, Kind.BINARY.column, *(kind.column for kind in VALUE_KINDS if kind.is_list))
_INTEGERS = ("time", "receive_time", "status", "write", "sequence", "source_time", "version", "parts", FLOAT_BITS)
TYPES: dict[str, pa.DataType] = {
    **dict.fromkeys(_INTEGERS, pa.int64()),
    **{kind.column: pa.int64() for kind in NUMBER_KINDS},
    **{f"{place}_{part}": pa.large_utf8() for place in BASE64 for part in range(1, MOST_PARTS)},
    **dict.fromkeys(BASE64, pa.large_utf8()),
    "element": pa.dictionary(pa.int32(), pa.utf8()),
    "kind": pa.dictionary(pa.int32(), pa.utf8()),
    Kind.FLOAT.column: pa.float64(),
    Kind.BOOL.column: pa.bool_(),
    Kind.TEXT.column: pa.utf8(),
}
"""Arrow type of each column of an answer."""


def part_field(place: str, part: int) -> str:
    """Return the field that holds a part of a value."""
    return place if part == 0 else f"{place}_{part}"


def point_times(source_time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where the points of samples lie: at their source times, or at an edge of what InfluxDB holds."""
    return np.clip(source_time, FIRST_TIME, LAST_TIME)
