"""Finds backends, journals, sources and commands by entry point: built-in ones and those of other distributions."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from archiver.model import ConfigurationError

BACKENDS = "forebay.backends"
JOURNALS = "forebay.journals"
SOURCES = "forebay.sources"
COMMANDS = "forebay.commands"


def names(group: str) -> list[str]:
    """Return the names registered in an entry-point group, sorted."""
    return sorted({point.name for point in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """Return the object behind an entry point.

    Raises
    ------
    ConfigurationError
        The name is unknown (the message lists the known ones), two distributions claim it, or an extra that
        it needs is not installed (the message gives the command).
    """
    points = [point for point in entry_points(group=group) if point.name == name]
    what = group.rpartition(".")[2].removesuffix("s")
    if not points:
        known = ", ".join(names(group)) or "none"
        raise ConfigurationError([f"kind = {name!r}: no such {what}; installed are: {known}"])
    if len({point.value for point in points}) > 1:
        owners = ", ".join(_owner(point) for point in points)
        raise ConfigurationError(
            [f"kind = {name!r}: claimed by several distributions ({owners}); uninstall all but one"]
        )
    point = points[0]
    try:
        return point.load()
    except ImportError as exc:
        extra = f"[{','.join(point.extras)}]" if point.extras else ""
        command = f"pip install '{_owner(point)}{extra}'"
        raise ConfigurationError([f"kind = {name!r}: {exc}; install what it needs with: {command}"]) from exc


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"
