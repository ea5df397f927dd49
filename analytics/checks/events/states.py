"""State machines, and what came first, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from analytics.checks.events.conditions import Look
from analytics.checks.events.driver import Told
from analytics.events.event import CAME, GONE
from archiver.model import format_time


class Move(NamedTuple):
    """A transition: from a state (``*`` for every other one) to another, by a condition, or by time; it waits."""

    source: str
    target: str
    condition: int | None
    after: int = 0


def entered(seen: Sequence[Look], initial: str, moves: Sequence[Move], *, whole: bool) -> list[Told]:
    """Return the states that are entered.

    Time goes on in steps of 1 ns: at each of them what has waited long enough is due, and then come the samples.
    """
    result: list[Told] = []
    if not seen:
        return result
    state, since = initial, seen[0].sample.time
    truths = seen[0].before

    def enter(move: Move, time: int, value: float | str | None) -> None:
        nonlocal state, since
        result.append(Told(move.target, time, value, {"from": state, "since": format_time(since)}))
        state, since = move.target, time

    def ways(time: int) -> list[Move]:
        mine = [move for move in moves if move.source == state or (move.source == "*" and move.target != state)]
        return [move for move in mine if time - since >= move.after]

    end = seen[-1].sample.time + (len(seen) + len(moves) + 2) * (1 + max(move.after for move in moves))
    for time in range(seen[0].sample.time, end):
        due = [move for move in ways(time) if move.after and time - since == move.after]
        due = [move for move in due if move.condition is None or truths[move.condition] is True]
        if due:
            enter(due[0], time, None)
        mine = [look for look in seen if look.sample.time == time]
        for look in mine[-1:] if whole else mine:
            truths = look.truths
            taken = [move for move in ways(time) if move.condition is not None and truths[move.condition] is True]
            if taken:
                enter(taken[0], time, look.sample.said if look.sample.is_good else None)
    return result


def first_out(seen: Sequence[Look], names: Sequence[str], *, whole: bool) -> list[Told]:
    """Return when any of some conditions came, with the name of the first one, and when all of them were gone."""
    result: list[Told] = []
    first = None
    for place, look in enumerate(seen):
        if whole and place + 1 < len(seen) and seen[place + 1].sample.time == look.sample.time:
            continue
        there = [name for name, truth in zip(names, look.truths, strict=True) if truth is True]
        if there and first is None:
            first = there[0]
            result.append(Told(CAME, look.sample.time, first))
        elif not there and first is not None:
            result.append(Told(GONE, look.sample.time, first))
            first = None
    return result
