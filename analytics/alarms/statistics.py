"""How an alarm system is doing, from its history: rates, floods, and the alarms to look at first.

Everything is computed from columns as `analytics.alarms.transition.to_table` gives them, of one operator position
unless it says otherwise; what came before they begin is not known. An *alarm* that counts is an occurrence when it is
first shown to the operator (`annunciated`): what came hidden and never was shown counts nowhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analytics.alarms.floods import STANDARD, TEN_MINUTES_NS, Bounds, Flood, Int64s, floods
from analytics.alarms.transition import Change, Effect
from archiver.model import Interval
from archiver.model.time import DAY_NS, NANOSECONDS

HOUR_NS = 3600 * NANOSECONDS
MINUTE_NS = 60 * NANOSECONDS
FLEETING_NS = 5 * NANOSECONDS
"""The standard calls an alarm fleeting whose duration is short, and names no figure; a few seconds are usual."""

_ALARM = ["alarm", "rule", "key", "alarm_class", "priority"]
STANDING = pa.schema(
    [
        *((name, pa.utf8()) for name in _ALARM[:4]),
        ("priority", pa.int16()),
        ("since", pa.int64()),
        ("for_ns", pa.int64()),
    ]
)
"""Columns of `standing`."""


def rates(history: pa.Table, interval: Interval, period_ns: int = TEN_MINUTES_NS) -> pa.Table:
    """Return how many alarms there were in each period of an interval.

    Parameters
    ----------
    history : pyarrow.Table
        Transitions.
    interval : Interval
        Cut into periods from its start; the last one may be shorter.
    period_ns : int
        10 minutes and one hour are what the standard asks about.

    Returns
    -------
    pyarrow.Table
        ``start`` (int64, ns) and ``alarms`` (int64); periods without alarms are there, too.

    References
    ----------
    ANSI/ISA-18.2-2016 and IEC 62682, clause 16: average and peak annunciated alarm rates per operator position.
    """
    number = -(-(interval.end - interval.start) // period_ns)
    times = _times(_annunciated(history, interval))
    counts = np.bincount((times - interval.start) // period_ns, minlength=number)
    return pa.table({"start": interval.start + np.arange(number) * period_ns, "alarms": counts.astype(np.int64)})


def floods_by_position(history: pa.Table, interval: Interval, bounds: Bounds = STANDARD) -> dict[str, list[Flood]]:
    """Return the floods of each operator position that has alarms in an interval; see `floods.floods`."""
    alarms = _annunciated(history, interval)
    positions = alarms["position"].unique().to_pylist()
    of = {position: alarms.filter(pc.equal(alarms["position"], position)) for position in sorted(positions)}
    return {position: floods(_times(own), interval.end, bounds) for position, own in of.items()}


def standing(history: pa.Table, at: int, longer_than_ns: int = DAY_NS) -> pa.Table:
    """Return the alarms that were active at an instant (ns) and had been for longer than a duration, oldest first.

    Returns
    -------
    pyarrow.Table
        Of `STANDING`: `since` when it came, `for_ns` how long until then.

    References
    ----------
    ANSI/ISA-18.2-2016 and IEC 62682, clause 16: stale alarms, which stay active for more than 24 hours.
    """
    shown = history.filter(pc.less_equal(history["time"], at))
    seen = shown.filter(shown["annunciated"])["occurrence"]
    came = _applied(shown, Change.CAME)
    came = came.filter(pc.is_in(came["occurrence"], seen))
    gone = _applied(shown, Change.GONE)["occurrence"]
    old = came.filter(pc.invert(pc.is_in(came["occurrence"], gone))).sort_by("time")
    since = _times(old)
    columns = [*(old[name] for name in _ALARM), since, at - since]
    return pa.table(columns, schema=STANDING).filter(at - since > longer_than_ns)


def chattering(history: pa.Table, interval: Interval, times: int = 3, within_ns: int = MINUTE_NS) -> pa.Table:
    """Return the alarms that were shown `times` times or more within a duration, those with most of that first.

    Returns
    -------
    pyarrow.Table
        ``alarm``, ``rule``, ``key``; ``first`` (ns): when it was the first of so many; ``bursts``: at how many of
        its comings there were so many within the duration before; ``alarms``: how often it came in the interval.

    References
    ----------
    ANSI/ISA-18.2-2016 and IEC 62682, clause 16: chattering alarms; three times or more in a minute is the usual
    criterion (B. Hollifield and E. Habibi, The Alarm Management Handbook, 2nd ed., 2010).
    """
    alarms = _annunciated(history, interval).sort_by([("alarm", "ascending"), ("time", "ascending")])
    codes, when = _codes(alarms), _times(alarms)
    before = np.arange(len(when)) - (times - 1)
    found = before >= 0
    found[found] = (codes[found] == codes[before[found]]) & (when[found] - when[before[found]] < within_ns)
    counted = alarms.select(["alarm", "rule", "key"]).append_column("burst", pa.array(found.astype(np.int64)))
    first = np.zeros(len(when), np.int64)
    first[found] = when[before[found]]
    counted = counted.append_column("first", pa.array(first, mask=~found))
    grouped = counted.group_by(["alarm", "rule", "key"]).aggregate(
        [("first", "min"), ("burst", "sum"), ("burst", "count")]
    )
    named = grouped.rename_columns(["alarm", "rule", "key", "first", "bursts", "alarms"])
    order = [("bursts", "descending"), ("alarm", "ascending")]
    return named.filter(pc.greater(named["bursts"], 0)).sort_by(order)


def fleeting(history: pa.Table, interval: Interval, shorter_than_ns: int = FLEETING_NS) -> pa.Table:
    """Return the alarms that came and went within a short time, those that did so most often first.

    Returns
    -------
    pyarrow.Table
        ``alarm``, ``rule``, ``key``; ``alarms``: how many of its occurrences that began in the interval were as short;
        ``shortest_ns``.

    References
    ----------
    ANSI/ISA-18.2-2016 and IEC 62682: fleeting alarms, active for a short time and gone before anybody can act.
    """
    shown = history.filter(history["annunciated"])["occurrence"]
    came = _within(_applied(history, Change.CAME), interval)
    came = came.filter(pc.is_in(came["occurrence"], shown)).select(["alarm", "rule", "key", "occurrence", "time"])
    gone = _applied(history, Change.GONE).select(["occurrence", "time"]).rename_columns(["occurrence", "gone"])
    both = came.join(gone, "occurrence", join_type="inner")
    lasted = both.append_column("lasted", pc.subtract(both["gone"], both["time"]))
    short = lasted.filter(pc.less(lasted["lasted"], shorter_than_ns))
    grouped = short.group_by(["alarm", "rule", "key"]).aggregate([("lasted", "count"), ("lasted", "min")])
    named = grouped.rename_columns(["alarm", "rule", "key", "alarms", "shortest_ns"])
    return named.sort_by([("alarms", "descending"), ("alarm", "ascending")])


def most_frequent(history: pa.Table, interval: Interval, most: int = 10) -> pa.Table:
    """Return the alarms that were shown most often.

    Returns
    -------
    pyarrow.Table
        ``alarm``, ``rule``, ``key``, ``alarms``, and ``share`` and ``together`` (0 to 1): what part of all alarms it
        was, and it with those before it.

    References
    ----------
    ANSI/ISA-18.2-2016 and IEC 62682, clause 16: the contribution of the top 10 most frequent alarms to the load.
    """
    alarms = _annunciated(history, interval)
    grouped = alarms.group_by(["alarm", "rule", "key"]).aggregate([("time", "count")])
    named = grouped.rename_columns(["alarm", "rule", "key", "alarms"])
    first = named.sort_by([("alarms", "descending"), ("alarm", "ascending")]).slice(0, most)
    share = _numbers(first["alarms"]) / max(1, alarms.num_rows)
    return first.append_column("share", pa.array(share)).append_column("together", pa.array(np.cumsum(share)))


def priorities(history: pa.Table, interval: Interval) -> pa.Table:
    """Return how alarms are distributed over classes, the most urgent first.

    Returns
    -------
    pyarrow.Table
        ``alarm_class``, ``priority``, ``alarms``, ``share`` (0 to 1).

    References
    ----------
    ANSI/ISA-18.2-2016 and IEC 62682, clause 16: annunciated priority distribution, about 80 % low, 15 % medium and 5 %
    high.
    """
    alarms = _annunciated(history, interval)
    grouped = alarms.group_by(["alarm_class", "priority"]).aggregate([("time", "count")])
    named = grouped.rename_columns(["alarm_class", "priority", "alarms"])
    order = named.sort_by([("priority", "descending"), ("alarm_class", "ascending")])
    return order.append_column("share", pa.array(_numbers(order["alarms"]) / max(1, alarms.num_rows)))


def performance(history: pa.Table, interval: Interval) -> dict[str, float]:
    """Return the figures by which an alarm system is judged, of one operator position.

    Returns
    -------
    dict of str to float
        ``alarms``; ``per_day``, ``per_hour``, ``per_10_minutes`` (averages); ``most_in_10_minutes``;
        ``hours_over_30`` and ``periods_over_10`` (shares of the hours and of the 10 minutes with more than that);
        ``floods`` (how many), ``flooded`` (share of the time); ``top_10`` (share of the most frequent ten);
        ``chattering``, ``fleeting`` and ``standing`` (how many alarms; standing at the end). Shares are 0 to 1. The
        standard's targets are in `TARGETS`.

    References
    ----------
    ANSI/ISA-18.2-2016 and IEC 62682, clause 16, table of alarm performance metrics.
    """
    length = max(1, interval.end - interval.start)
    tens, hours = (_numbers(rates(history, interval, period)["alarms"]) for period in (TEN_MINUTES_NS, HOUR_NS))
    total = int(tens.sum())
    wet = floods(_times(_annunciated(history, interval)), interval.end)
    flooded = sum((interval.end if flood.end is None else flood.end) - flood.start for flood in wet)
    return {
        "alarms": total,
        "per_day": total * DAY_NS / length,
        "per_hour": total * HOUR_NS / length,
        "per_10_minutes": total * TEN_MINUTES_NS / length,
        "most_in_10_minutes": int(tens.max(initial=0)),
        "hours_over_30": _share(hours > 30),
        "periods_over_10": _share(tens > STANDARD.above),
        "floods": len(wet),
        "flooded": flooded / length,
        "top_10": float(_numbers(most_frequent(history, interval)["share"]).sum()),
        "chattering": chattering(history, interval).num_rows,
        "fleeting": fleeting(history, interval).num_rows,
        "standing": standing(history, interval.end).num_rows,
    }


TARGETS = {
    "per_day": 150.0,
    "per_hour": 6.0,
    "per_10_minutes": 1.0,
    "most_in_10_minutes": 10.0,
    "hours_over_30": 0.01,
    "periods_over_10": 0.01,
    "flooded": 0.01,
    "top_10": 0.05,
    "chattering": 0.0,
    "fleeting": 0.0,
    "standing": 4.0,
}
"""What figures of `performance` should be at most, per operator position (ANSI/ISA-18.2-2016, clause 16): about 150
alarms a day are very likely to be acceptable, and about twice the averages is the most that can be managed."""


def _annunciated(history: pa.Table, interval: Interval) -> pa.Table:
    return _within(history.filter(history["annunciated"]), interval)


def _within(history: pa.Table, interval: Interval) -> pa.Table:
    times = history["time"]
    return history.filter(pc.and_(pc.greater_equal(times, interval.start), pc.less(times, interval.end)))


def _applied(history: pa.Table, change: Change) -> pa.Table:
    applied = pc.equal(history["effect"], Effect.APPLIED.value)
    return history.filter(pc.and_(applied, pc.equal(history["change"], change.value)))


def _times(history: pa.Table) -> Int64s:
    return _numbers(history["time"])


def _numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    numbers: NDArray[Any] = column.to_numpy()
    return numbers


def _codes(history: pa.Table) -> NDArray[np.int64]:
    """Return a number for each alarm, the same in all its rows."""
    return _numbers(pc.rank(history["alarm"], tiebreaker="dense")) if history.num_rows else np.empty(0, np.int64)


def _share(which: NDArray[np.bool_]) -> float:
    return float(which.mean()) if len(which) else 0.0
