"""Finds plug-ins by entry point (backends, journals, sources, commands, services): built-in ones and of others."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from archiver.model import ConfigurationError
from archiver.model.near import did_you_mean

BACKENDS = "forebay.backends"
JOURNALS = "forebay.journals"
SOURCES = "forebay.sources"
COMMANDS = "forebay.commands"
NOTIFIERS = "forebay.notifiers"
SERVICES = "forebay.services"


def names(group: str) -> list[str]:
    """Return the names registered in an entry-point group, sorted."""
    return sorted({point.name for point in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """Return the object behind an entry point.

    Raises
    ------
    ConfigurationError
        The name is unknown (the message gives the nearest, or lists them), two distributions claim it, an extra
        that it needs is not installed (the message gives the command), or what it points at is not there.
    """
    points = [point for point in entry_points(group=group) if point.name == name]
    what = group.rpartition(".")[2].removesuffix("s")
    if not points:
        fix = did_you_mean(name, names(group), f"installed are: {', '.join(names(group)) or 'none'}")
        raise ConfigurationError([f"kind = {name!r}: no such {what}; {fix}"])
    if len({point.value for point in points}) > 1:
        owners = ", ".join(_owner(point) for point in points)
        raise ConfigurationError(
            [f"kind = {name!r}: claimed by several distributions ({owners}); uninstall all but one"]
        )
    point = points[0]
    try:
        return point.load()
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError([f"kind = {name!r}: {exc}; {_remedy(point, exc)}"]) from exc


def _remedy(point: EntryPoint, error: ImportError | AttributeError) -> str:
    """Return what to do about an entry point that does not load: a missing extra, or a broken distribution."""
    missing = (error.name if isinstance(error, ImportError) else None) or point.module
    if missing.partition(".")[0] == point.module.partition(".")[0]:
        return f"{_owner(point)} is broken: {point.value} is not in it; install it again"
    extra = f"[{','.join(point.extras)}]" if point.extras else ""
    return f"install what it needs with: pip install '{_owner(point)}{extra}'"


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "unknown"
