"""Which channel is told of which alarm."""

from __future__ import annotations

from collections.abc import Mapping

from archiver.config import MatchSettings, NotifySettings
from archiver.model import ArchiveGroup
from services.events.notify.notice import Notice


class Match:
    """What a `MatchSettings` lets through.

    Examples
    --------
    >>> match = Match(MatchSettings(classes=("safety",), keys=("plant:*",)))
    >>> match(Notice("a", "1", "came", 0, 0, True, "low", "plant:O2", alarm_class="safety"))
    True
    """

    def __init__(self, settings: MatchSettings) -> None:
        self._priorities = range(settings.min_priority, settings.max_priority + 1)
        patterns = {
            "class": settings.classes,
            "rule": settings.rules,
            "key": settings.keys,
            **{f"labels.{name}": patterns for name, patterns in settings.labels.items()},
        }
        # patterns mean here what they mean for the elements of an archive group
        self._parts = [(name, ArchiveGroup("", tuple(texts), ())) for name, texts in patterns.items()]

    def __call__(self, notice: Notice) -> bool:
        """Return whether an alarm is one of them."""
        return notice.priority in self._priorities and all(part.matches(notice.get(name)) for name, part in self._parts)


class Route:
    """What one channel is told of, what matches and is not excluded, and what makes a group there.

    Parameters
    ----------
    settings : NotifySettings
    by : tuple of str
        Names of `Notice.get`.
    """

    def __init__(self, settings: NotifySettings, by: tuple[str, ...]) -> None:
        self._by = by
        self._match = Match(settings.match)
        self._exclude = None if settings.exclude is None else Match(settings.exclude)

    def __call__(self, notice: Notice) -> bool:
        """Return whether the channel is told of an alarm."""
        return self._match(notice) and not (self._exclude is not None and self._exclude(notice))

    def labels(self, notice: Notice) -> Mapping[str, str]:
        """Return what the alarm shares with the others of its group."""
        return {name: notice.get(name) for name in self._by}
