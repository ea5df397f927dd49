"""Samples as line protocol: columns of text joined by Arrow, no object per sample."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.backends.influx import layout, names, packing
from archiver.model import Kind, PermanentError, SampleBatch
from archiver.model.batch import Int64s
from archiver.model.kind import check_text

ROWS_AT_ONCE = 25_000
BODY_BYTES = 4 * 2**20
_MINUS_ZERO = np.iinfo(np.int64).min
"""Its bits."""
_UNFIT_TEXT = r"[\x00-\x1f\x7f]"
Fields = list[tuple[str, pa.Array]]
"""Names of fields, and the text of their values."""


def bodies(
    group: str, rows: SampleBatch, versions: Int64s, write: int, order: Int64s | None = None
) -> Iterator[memoryview]:
    """Yield the samples as bodies to be posted, of some megabytes each at most unless a single line is longer.

    Parameters
    ----------
    group : str
        The measurement.
    rows : SampleBatch
    versions : ndarray of int64
        Per line, the number of its sample among the versions of one identity.
    write : int
        Number of the write that this is part of.
    order : ndarray of int64, optional
        Rows of the samples, a line each; all as they are when left out.

    Raises
    ------
    PermanentError
        A value is too long, or a text is not UTF-8.
    """
    measurement = names.escaped(group)
    series = _strings([f"{measurement},element={names.escaped(names.tag_value(name))}" for name in rows.elements])
    for start in range(0, rows.num_rows, ROWS_AT_ONCE):
        part = rows.slice(start, ROWS_AT_ONCE) if order is None else rows.take(order[start : start + ROWS_AT_ONCE])
        numbers = versions[start : start + ROWS_AT_ONCE]
        kinds = part.kind_codes
        for code in np.flatnonzero(np.bincount(kinds)).tolist():
            mask = kinds == code
            ours = part.filter(mask)
            for place, where, fields in _forms(Kind(code), ours):
                form = ours if where is None else ours.filter(where)
                ordinals = numbers[mask] if where is None else numbers[mask][where]
                yield from _cut(_lines(series, form, place, fields, ordinals, write))


def _lines(
    series: pa.LargeStringArray, rows: SampleBatch, place: str, fields: Fields, versions: Int64s, write: int
) -> pa.LargeStringArray:
    """Return a line per sample, all of one place, each with its line break."""
    kind, _, parts = place.partition("/")
    tags = f",kind={kind}{f',parts={parts}' if parts else ''}"
    times = layout.point_times(rows.source_time)
    names_, values = [f",{name}=" for name, _ in fields], [texts for _, texts in fields]
    heads = _heads(series, rows, times, versions, tags, f"i,write={write}i{''.join(names_[:1])}")
    following = chain.from_iterable(zip(names_[1:], values[1:], strict=True))
    return _join(heads, *values[:1], *following, " ", _text(times), "\n")


def _heads(
    series: pa.LargeStringArray, rows: SampleBatch, times: Int64s, versions: Int64s, tags: str, end: str
) -> pa.LargeStringArray:
    """Return what a line is up to its value.

    Where most lines of an element begin alike, their beginnings are made once per element: lines cost half then.
    """
    received, status = rows.receive_time, rows.status.view(np.int64)
    alike = (received == received[0]) & (status == status[0])
    alike &= (times == rows.source_time) & (rows.sequence == 0) & (versions == 0)
    odd = np.flatnonzero(~alike)
    if 2 * len(odd) > len(rows):
        return _single_heads(series, rows, times, versions, tags, end)
    first = int(rows.codes.min())
    heads = series.slice(first, int(rows.codes.max()) + 1 - first)
    heads = _join(heads, f"{tags} receive_time={received[0]}i,status={status[0]}{end}")
    places = rows.codes - first
    if len(odd):
        places[odd] = len(heads) + np.arange(len(odd))
        single = _single_heads(series, rows.take(odd), times[odd], versions[odd], tags, end)
        heads = pa.concat_arrays([heads, single])
    return heads.take(pa.array(places))


def _single_heads(
    series: pa.LargeStringArray, rows: SampleBatch, times: Int64s, versions: Int64s, tags: str, end: str
) -> pa.LargeStringArray:
    """Return `_heads` made of columns."""
    rare = [
        *_rare_tag("sequence", rows.sequence, rows.sequence != 0),
        *_rare_tag("source_time", rows.source_time, times != rows.source_time),
        *_rare_tag("version", versions, versions != 0),
    ]
    received, status = (_text_of_few(column) for column in (rows.receive_time, rows.status.view(np.int64)))
    return _join(series.take(pa.array(rows.codes)), tags, *rare, " receive_time=", received, "i,status=", status, end)


def _rare_tag(name: str, numbers: NDArray[Any], there: NDArray[np.bool_]) -> list[pa.LargeStringArray]:
    """Return the column of a tag that few samples have; none at all where none has it."""
    if not there.any():
        return []
    return [pc.if_else(pa.array(there), _join(f",{name}=", _text(numbers)), pa.scalar("", pa.large_utf8()))]


def _text(numbers: NDArray[Any]) -> pa.LargeStringArray:
    return pa.array(numbers).cast(pa.large_utf8())


def _text_of_few(numbers: NDArray[Any]) -> pa.LargeStringArray:
    """Return numbers of which there are few different ones as text."""
    encoded = pc.dictionary_encode(pa.array(numbers))
    return encoded.dictionary.cast(pa.large_utf8()).take(encoded.indices)


def _strings(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_utf8())


def _join(*pieces: pa.LargeStringArray | str) -> pa.LargeStringArray:
    """Return columns, and texts that are the same in each row, one after the other."""
    scalars = [pa.scalar(piece, pa.large_utf8()) if isinstance(piece, str) else piece for piece in (*pieces, "")]
    return pc.binary_join_element_wise(*scalars)


def _forms(kind: Kind, rows: SampleBatch) -> Iterator[tuple[str, NDArray[np.bool_] | None, Fields]]:
    """Yield the places that samples of one kind go to, which of them (None is all), and their fields."""
    if kind is Kind.NONE:
        yield "none", None, []
        return
    values = rows.values(kind)
    if kind is Kind.FLOAT:
        yield from _floats(values)
    elif kind is Kind.TEXT:
        yield from _texts(values)
    elif kind is Kind.BOOL:
        yield kind.column, None, [(kind.column, values.cast(pa.large_utf8()))]
    elif kind in layout.NUMBER_KINDS:
        numbers = values.view(pa.int64()) if kind is Kind.UINT else values
        yield kind.column, None, [(kind.column, _integers(numbers))]
    else:
        check_text(kind, values)
        yield from _in_parts(kind.column, packing.to_base64(packing.pack(kind, values)), None)


def _floats(values: pa.Array) -> Iterator[tuple[str, NDArray[np.bool_] | None, Fields]]:
    numbers = _numpy(values)
    plain = (np.abs(numbers) <= layout.LARGEST) & (numbers.view(np.int64) != _MINUS_ZERO)
    if plain.any():
        some = None if plain.all() else plain
        yield "float", some, [("float", _chosen(values, some).cast(pa.large_utf8()))]
    for odd, is_shown in ((~plain & np.isfinite(numbers), True), (~np.isfinite(numbers), False)):
        if odd.any():
            chosen = _chosen(values, odd)
            bits = (layout.FLOAT_BITS, _integers(chosen.view(pa.int64())))
            yield layout.FLOAT_BITS, odd, [bits, ("float", chosen.cast(pa.large_utf8()))] if is_shown else [bits]


def _texts(values: pa.Array) -> Iterator[tuple[str, NDArray[np.bool_] | None, Fields]]:
    check_text(Kind.TEXT, values)
    long = pc.greater(pc.binary_length(values), layout.PART_LENGTH)
    unfit = _numpy(pc.or_(long, pc.match_substring_regex(values, _UNFIT_TEXT)))
    if not unfit.all():
        some = None if not unfit.any() else ~unfit
        yield "text", some, [("text", _quoted(_chosen(values, some).cast(pa.large_utf8())))]
    if unfit.any():
        packed = packing.to_base64(packing.pack(Kind.TEXT, _chosen(values, unfit)))
        yield from _in_parts(layout.TEXT_BASE64, packed, unfit)


def _in_parts(
    place: str, values: pa.LargeStringArray, where: NDArray[np.bool_] | None
) -> Iterator[tuple[str, NDArray[np.bool_] | None, Fields]]:
    """Yield base64 by the number of fields that it takes; `where` are the rows that `values` are of."""
    lengths = pc.binary_length(values).to_numpy(zero_copy_only=False)
    counts = np.maximum(-(-lengths // layout.PART_LENGTH), 1)
    if counts.max(initial=1) > layout.MOST_PARTS:
        most = layout.MOST_PARTS * layout.PART_LENGTH // 4 * 3
        raise PermanentError(f"a value of {int(lengths.max()) // 4 * 3} bytes is longer than {most}: send it in pieces")
    for count in np.unique(counts).tolist():
        ours = counts == count
        chosen = _chosen(values, None if ours.all() else ours)
        fields = []
        for part in range(count):
            start = part * layout.PART_LENGTH
            piece = chosen if count == 1 else pc.utf8_slice_codeunits(chosen, start, start + layout.PART_LENGTH)
            fields.append((layout.part_field(place, part), _join('"', piece, '"')))
        rows = where
        if not ours.all():
            rows = np.ones(len(ours), bool) if where is None else where.copy()
            rows[rows] = ours
        yield (place if count == 1 else f"{place}/{count}"), rows, fields


def _chosen(values: pa.Array, mask: NDArray[np.bool_] | None) -> pa.Array:
    return values if mask is None else values.filter(pa.array(mask))


def _quoted(values: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return texts as string values of line protocol."""
    return _join('"', pc.replace_substring(pc.replace_substring(values, "\\", "\\\\"), '"', '\\"'), '"')


def _integers(values: pa.Array) -> pa.LargeStringArray:
    return _join(values.cast(pa.large_utf8()), "i")


def _cut(lines: pa.LargeStringArray) -> Iterator[memoryview]:
    """Yield the bytes of consecutive lines, cut into bodies."""
    if not len(lines):
        return
    _, offsets, content = lines.buffers()
    ends = np.frombuffer(offsets, np.int64)[lines.offset : lines.offset + len(lines) + 1]
    whole = memoryview(content)
    first = 0
    while first < len(lines):
        last = int(np.searchsorted(ends, ends[first] + BODY_BYTES, "right")) - 1
        last = min(max(last, first + 1), len(lines))
        yield whole[int(ends[first]) : int(ends[last])]
        first = last


def _numpy(array: pa.Array) -> NDArray[Any]:
    result: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return result
