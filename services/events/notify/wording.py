"""A message in words, for people: a subject, lines of text, and the same as HTML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from zoneinfo import ZoneInfo

from archiver.model.time import NANOSECONDS
from services.events.notify.notice import CAME, Group, Notice

MOST = 100
"""Alarms that are listed in each part of a message; of more, only the number is told."""

_SUBJECT = 150
_STYLE = "border-collapse:collapse;font-family:sans-serif;font-size:14px"
_CELL = "padding:4px 10px;border-bottom:1px solid #ccc;text-align:left;vertical-align:top"


def subject(group: Group) -> str:
    """Return a line that says the most important: the alarm where it is one, else how many of which kind.

    Examples
    --------
    >>> notice = Notice("a", "1", CAME, 0, 0, True, "hot", "T1", "danger", text="T1 is hot")
    >>> subject(Group("ops", {}, (notice,), frozenset({notice.id})))
    '[came, danger] T1 is hot'
    >>> subject(Group("ops", {}, (notice,), frozenset()))
    '[still standing, danger] T1 is hot'
    """
    told = group.new or group.standing
    if len(told) == 1:
        notice = told[0]
        marks = ", ".join(filter(None, (_state(notice, group), notice.alarm_class)))
        return _line(f"[{marks}] {_text(notice)}")
    counts = Counter(_state(notice, group) for notice in told)
    shared = ", ".join(value for value in group.labels.values() if value)
    return _line(f"[{', '.join(f'{count} {state}' for state, count in counts.items())}] {shared or 'alarms'}")


def plain(group: Group, timezone: str) -> str:
    """Return the message as text; times are those of a time zone."""
    zone = ZoneInfo(timezone)
    parts = []
    for title, notices in _sections(group):
        parts.append(f"{title}\n")
        parts += ["\n".join(_lines(notice, zone)) + "\n" for notice in notices[:MOST]]
        parts += _more(notices)
    return "\n".join(parts) + "\n"


def html(group: Group, timezone: str) -> str:
    """Return the message as an HTML document."""
    zone = ZoneInfo(timezone)
    parts = []
    for title, notices in _sections(group):
        rows = "".join(_row(notice, zone) for notice in notices[:MOST])
        parts.append(f'<h3>{escape(title)}</h3><table style="{_STYLE}">{rows}</table>')
        parts += [f"<p>{line}</p>" for line in _more(notices)]
    return f"<!DOCTYPE html><html><body>{''.join(parts)}</body></html>\n"


def _sections(group: Group) -> list[tuple[str, Sequence[Notice]]]:
    """Return titles, and what is below them: what is new, and what still stands."""
    old = [notice for notice in group.standing if notice.id not in group.fresh]
    sections: list[tuple[str, Sequence[Notice]]] = [("New", group.new), ("Still standing", old)]
    return [(f"{title} ({len(notices)})", notices) for title, notices in sections if notices]


def _more(notices: Sequence[Notice]) -> list[str]:
    return [f"... and {len(notices) - MOST} more" for _ in notices[MOST : MOST + 1]]


def _state(notice: Notice, group: Group) -> str:
    if not group.fresh:
        return "still standing"
    return "came and went" if notice.state == CAME and not notice.stands else notice.state


def _facts(notice: Notice, zone: ZoneInfo) -> str:
    """Return what is known of a notice besides its text, in one line."""
    came = f"came {_time(notice.since, zone)}"
    changed = "" if notice.state == CAME else f"{notice.state} {_time(notice.time, zone)}"
    who = f"by {notice.by}" if notice.by else ""
    comment = f'"{notice.comment}"' if notice.comment else ""
    value = "" if notice.value is None else f"value {notice.value}"
    return "; ".join(filter(None, (came, " ".join(filter(None, (changed, who, comment))), value)))


def _marks(notice: Notice) -> str:
    about = (notice.alarm_class, f"priority {notice.priority}", notice.rule, notice.key)
    return " / ".join(filter(None, about))


def _lines(notice: Notice, zone: ZoneInfo) -> list[str]:
    lines = [f"{notice.state.upper()}  {_text(notice)}", f"  {_facts(notice, zone)}", f"  {_marks(notice)}"]
    return [_clean(line) for line in [*lines, *([f"  {notice.link}"] if notice.link else [])]]


def _row(notice: Notice, zone: ZoneInfo) -> str:
    text = escape(_clean(_text(notice)))
    if notice.link.startswith(("http://", "https://")):  # and nothing that runs
        text = f'<a href="{escape(notice.link)}">{text}</a>'
    about = f"<small>{escape(_clean(_marks(notice)))}<br>{escape(_clean(_facts(notice, zone)))}</small>"
    state = escape(notice.state)
    return f'<tr><td style="{_CELL}"><b>{state}</b></td><td style="{_CELL}">{text}<br>{about}</td></tr>'


def _text(notice: Notice) -> str:
    return notice.text or f"{notice.rule} {notice.key}".strip()


def _time(time: int, zone: ZoneInfo) -> str:
    """Return a time to the second, with its distance from UTC."""
    try:
        return datetime.fromtimestamp(time // NANOSECONDS, UTC).astimezone(zone).isoformat(" ")
    except (OverflowError, ValueError, OSError):  # no year that a calendar has
        return f"{time} ns"


def _clean(text: str) -> str:
    """Return a text on one line."""
    return "".join(character if character.isprintable() else " " for character in text)


def _line(text: str) -> str:
    clean = " ".join(_clean(text).split())
    return clean if len(clean) <= _SUBJECT else f"{clean[: _SUBJECT - 3]}..."
