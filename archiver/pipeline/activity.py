"""How each element has been doing lately: how fast it comes, since when it is silent, what became of it and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from archiver.model import Interval, Kind, SampleBatch, Status
from archiver.model.batch import Int64s
from archiver.model.status import is_bad
from archiver.pipeline.ledger import INTAKE, Outcome

_LOST = (Outcome.REJECTED, Outcome.DEAD, Outcome.DROPPED)

SCHEMA = pa.schema(
    [
        ("element", pa.utf8()),
        ("state", pa.utf8()),
        ("silent_s", pa.float64()),
        ("last_time", pa.int64()),
        ("received", pa.int64()),
        ("rate_hz", pa.float64()),
        *((str(outcome), pa.int64()) for outcome in Outcome if outcome is not Outcome.BUFFERED),
        ("reasons", pa.utf8()),
    ]
)
"""Columns of `activity`."""


def activity(
    elements: Sequence[str], latest: SampleBatch, accounts: pa.Table, interval: Interval, now: int
) -> pa.Table:
    """Return a row per element, in the given order.

    Parameters
    ----------
    elements : sequence of str
    latest : SampleBatch
        The newest sample of each that has one.
    accounts : pyarrow.Table
        Rows of the ledger around the interval, under present names. A row that reaches beyond it (old ones are kept
        by the hour or day) counts by its share, as if its samples came evenly, and at least once.
    interval : Interval
        What `received` and its like are about.
    now : int
        ns.

    Returns
    -------
    pyarrow.Table
        Of `SCHEMA`. `state` is ``good``, ``bad``, ``no value``, ``paused``, ``disconnected`` or ``never seen``;
        `silent_s` is null for the last. A sample that several groups or backends store counts once in `received`, and
        in the columns of the ledger as often as the one says with which it went worst. What still waits in the
        journal is in none of them.
    """
    rows = {name: row for row, name in enumerate(elements)}
    counts = {outcome: np.zeros(len(elements), np.int64) for outcome in Outcome}
    received, reasons = np.zeros(len(elements), np.int64), [""] * len(elements)
    booked = _booked(accounts, rows, interval)
    for row, outcome, count in _by_outcome(booked, rows):
        counts[Outcome(outcome)][row] = count
    for row, text in _losses(booked, rows):
        reasons[row] = f"{reasons[row]}; {text}" if reasons[row] else text
    for row, count in _received(booked, rows):
        received[row] += count
    until = min(interval.end, now) if interval.start < now else interval.end
    seconds = (until - interval.start) / 1e9
    state, silent, last = _newest(latest, rows, now)
    columns: list[Any] = [list(elements), state, silent, last, received, received / seconds]
    columns += [counts[outcome] for outcome in Outcome if outcome is not Outcome.BUFFERED]
    return pa.table([*columns, reasons], schema=SCHEMA)


def ordered(table: pa.Table, by: str) -> pa.Table:
    """Return the rows that an order is about, those first that an operator would look at first.

    Parameters
    ----------
    table : pyarrow.Table
        Of `activity`.
    by : str
        ``silent``, ``disconnected`` (only those that are, or are paused), ``rate``, ``lost`` (only those of which
        samples were lost) or ``name``.

    Returns
    -------
    pyarrow.Table
        With the column ``lost``: rejected, dead-lettered and dropped together.
    """
    lost = pc.add(pc.add(table["rejected"], table["dead-lettered"]), table["dropped"])
    table = table.append_column("lost", lost)
    if by == "disconnected":
        table = table.filter(pc.is_in(table["state"], pa.array(["disconnected", "paused"])))
    if by == "lost":
        table = table.filter(pc.greater(table["lost"], 0))
    orders = {"rate": [("rate_hz", "descending")], "lost": [("lost", "descending")], "name": [("element", "ascending")]}
    return table.sort_by(orders.get(by, [("silent_s", "descending")]))


def _booked(accounts: pa.Table, rows: dict[str, int], interval: Interval) -> pa.Table:
    """Return what the ledger says of some elements in an interval, as plain columns."""
    accounts = accounts.filter(pc.is_in(accounts["element"].cast(pa.utf8()), pa.array(list(rows), pa.utf8())))
    first, last = accounts["first"].to_numpy(), accounts["last"].to_numpy()
    begin, end = np.maximum(first, interval.start), np.minimum(last, interval.end - 1)
    touches = begin <= end
    share = _length(begin[touches], end[touches]) / _length(first[touches], last[touches])
    accounts = accounts.filter(pa.array(touches))
    count = np.maximum(1, np.rint(accounts["count"].to_numpy() * share)).astype(np.int64)
    texts = [accounts[name].cast(pa.utf8()) for name in ("element", "lane", "group", "outcome", "reason")]
    return pa.table([*texts, count], names=["element", "lane", "group", "outcome", "reason", "count"])


def _length(first: Int64s, last: Int64s) -> NDArray[np.float64]:
    """Return how long it is from a first to a last sample, ns; centuries do not fit in an int64."""
    return (last - first).view(np.uint64).astype(np.float64) + 1.0


def _most(booked: pa.Table, keys: list[str], among: list[str]) -> list[tuple[Any, ...]]:
    """Return the keys, and the largest of the sums over some more of them."""
    sums = booked.group_by([*keys, *among]).aggregate([("count", "sum")])
    found = sums.group_by(keys).aggregate([("count_sum", "max")])
    return list(zip(*(found[name].to_pylist() for name in (*keys, "count_sum_max")), strict=True))


def _by_outcome(booked: pa.Table, rows: dict[str, int]) -> list[tuple[int, str, int]]:
    """Return row, outcome and count."""
    found = _most(booked, ["element", "outcome"], ["lane", "group"])
    return [(rows[element], outcome, count) for element, outcome, count in found]


def _losses(booked: pa.Table, rows: dict[str, int]) -> list[tuple[int, str]]:
    """Return row, and in words how many samples were lost where and why, the most of them first."""
    is_lost = pc.is_in(booked["outcome"], pa.array([str(outcome) for outcome in _LOST]))
    found = _most(booked.filter(is_lost), ["element", "lane", "outcome", "reason"], ["group"])
    found.sort(key=lambda loss: (-loss[-1], *loss))
    return [
        (rows[element], f"{count} {outcome}{'' if lane == INTAKE else f' by {lane}'}: {reason}")
        for element, lane, outcome, reason, count in found
        if reason
    ]


def _received(booked: pa.Table, rows: dict[str, int]) -> list[tuple[int, int]]:
    """Return row and how many samples came: to the group and lane that had most of them, and to nobody but the intake.

    A lane books without a reason what came to it, and with one what was copied to it later.
    """
    is_refused = pc.equal(booked["lane"], INTAKE)
    is_copied = pc.and_(pc.equal(booked["outcome"], str(Outcome.STORED)), pc.not_equal(booked["reason"], ""))
    refused = _most(booked.filter(is_refused), ["element"], [])
    taken = _most(booked.filter(pc.invert(pc.or_(is_refused, is_copied))), ["element"], ["lane", "group"])
    return [(rows[element], count) for element, count in (*refused, *taken)]


def _newest(latest: SampleBatch, rows: dict[str, int], now: int) -> tuple[list[str], pa.Array, pa.Array]:
    """Return state, seconds of silence, and time of the newest sample of each element."""
    state = ["never seen"] * len(rows)
    silent, last = np.full(len(rows), np.nan), np.zeros(len(rows), np.int64)
    known = [(rows.get(latest.elements[code]), sample) for sample, code in enumerate(latest.codes.tolist())]
    bad, status, kinds = is_bad(latest.status), latest.status, latest.kind_codes
    for row, sample in known:
        if row is None:
            continue
        silent[row] = max(0.0, (now - int(latest.receive_time[sample])) / 1e9)
        last[row] = latest.source_time[sample]
        if status[sample] & np.uint64(Status.DISCONNECTED):
            state[row] = "disconnected"
        elif status[sample] & np.uint64(Status.PAUSED):
            state[row] = "paused"
        else:
            state[row] = "no value" if kinds[sample] == Kind.NONE else "bad" if bad[sample] else "good"
    seen = ~np.isnan(silent)
    return state, pa.array(silent, mask=~seen), pa.array(last, mask=~seen)
