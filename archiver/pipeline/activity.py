"""How each element has been doing lately: how fast it comes, since when it is silent, what became of it and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from archiver.model import Interval, Kind, SampleBatch, Status
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
        Rows of the ledger around the interval, under present names. Old ones are kept by the hour or day, and count
        as a whole where they touch the interval.
    interval : Interval
        What `received` and its like are about.
    now : int
        ns.

    Returns
    -------
    pyarrow.Table
        Of `SCHEMA`. `state` is ``good``, ``bad``, ``no value``, ``paused``, ``disconnected`` or ``never seen``;
        `silent_s` is null for the last. A sample that several backends store counts once in `received`, and in the
        columns of the ledger as often as the backend says with which it went worst.
    """
    rows = {name: row for row, name in enumerate(elements)}
    counts = {outcome: np.zeros(len(elements), np.int64) for outcome in Outcome}
    received, reasons = np.zeros(len(elements), np.int64), [""] * len(elements)
    for row, lane, outcome, reason, count in _summed(accounts, rows):
        counts[Outcome(outcome)][row] = max(counts[Outcome(outcome)][row], count)
        if outcome in _LOST and reason:
            text = f"{count} {outcome}{'' if lane == INTAKE else f' by {lane}'}: {reason}"
            reasons[row] = f"{reasons[row]}; {text}" if reasons[row] else text
    for row, count in _received(accounts, rows):
        received[row] = count
    seconds = max(1e-9, (min(interval.end, now) - interval.start) / 1e9)
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


def _flat(accounts: pa.Table, rows: dict[str, int]) -> pa.Table:
    names = ["element", "outcome", "reason"]
    flat = pa.table([accounts["lane"], *(accounts[name].cast(pa.utf8()) for name in names), accounts["count"]],
                    names=["lane", *names, "count"])  # fmt: skip
    return flat.filter(pc.is_in(flat["element"], pa.array(list(rows), pa.utf8())))


def _summed(accounts: pa.Table, rows: dict[str, int]) -> list[tuple[int, str, str, str, int]]:
    """Return row, lane, outcome, reason and count; those that were lost by reason, the others together."""
    flat = _flat(accounts, rows)
    lost = pc.is_in(flat["outcome"], pa.array([str(outcome) for outcome in _LOST]))
    flat = flat.set_column(3, "reason", pc.if_else(lost, flat["reason"], ""))
    keys = ["element", "lane", "outcome", "reason"]
    sums = flat.group_by(keys).aggregate([("count", "sum")])
    columns = [sums[name].to_pylist() for name in (*keys, "count_sum")]
    return [(rows[element], *rest) for element, *rest in zip(*columns, strict=True)]


def _received(accounts: pa.Table, rows: dict[str, int]) -> list[tuple[int, int]]:
    """Return row and how many samples came: what the lane says that had most of them, and what the intake refused."""
    flat = _flat(accounts, rows)
    sums = flat.group_by(["element", "lane"]).aggregate([("count", "sum")])
    refused = pc.equal(sums["lane"], INTAKE)
    by_lane = sums.filter(pc.invert(refused)).group_by("element").aggregate([("count_sum", "max")])
    by_intake = sums.filter(refused)
    total: dict[str, int] = dict(zip(by_lane["element"].to_pylist(), by_lane["count_sum_max"].to_pylist(), strict=True))
    for element, count in zip(by_intake["element"].to_pylist(), by_intake["count_sum"].to_pylist(), strict=True):
        total[element] = total.get(element, 0) + count
    return [(rows[element], count) for element, count in total.items()]


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
