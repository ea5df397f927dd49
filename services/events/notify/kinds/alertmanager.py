"""Tells Prometheus' Alertmanager, which groups, silences and routes by its own configuration."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field, StringConstraints

from archiver.model import ForebayError, PermanentError, format_time
from archiver.model.time import now
from archiver.ports import Options
from services.events.notify.kinds.http import URL, HttpOptions, post
from services.events.notify.notice import CAME, Group, Notice
from services.events.notify.notifier import FORGETFUL, Grouping

_LOG = logging.getLogger(__name__)
_HOLDS_FOR = 4
_AT_ONCE = 500
_LINK = re.compile(r"https?://[\w.:\[\]-]+(/[!-~]*)?", re.ASCII)
_NO_LABEL = re.compile(r"[^a-zA-Z0-9_]")


class AlertmanagerOptions(HttpOptions):
    """Keys of ``[[notify]]`` with ``kind = "alertmanager"``."""

    urls: tuple[Annotated[str, StringConstraints(pattern=URL)], ...] = Field(
        min_length=1, description="http://host:9093, of each member of the cluster: all are told, one has to answer"
    )
    labels: Mapping[str, str] = Field(default_factory=dict, description="further labels of every alert, such as site")


class AlertmanagerNotifier:
    """Sends what stands as alerts that hold for four times the time after which they are sent again.

    Parameters
    ----------
    name : str
    options : AlertmanagerOptions
    """

    Options: ClassVar[type[Options]] = AlertmanagerOptions
    grouping: ClassVar[Grouping] = FORGETFUL

    def __init__(self, name: str, options: AlertmanagerOptions) -> None:
        self.name = name
        self._options = options

    def send(self, group: Group) -> None:
        """Send a message; see `Notifier.send`."""
        at = now()
        until = at + _HOLDS_FOR * group.repeat_ns if group.repeat_ns else None
        alerts = [alert(notice, self._options.labels, at, until) for notice in group.notices]
        for first in range(0, len(alerts), _AT_ONCE):
            self._post(alerts[first : first + _AT_ONCE])

    def _post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Tell every member; that one takes it is enough: they tell each other, and all are told again soon."""
        body = json.dumps(alerts).encode()
        errors: list[ForebayError] = []
        for url in self._options.urls:
            try:
                post(self._options, f"{url.rstrip('/')}/api/v2/alerts", body, {})
            except ForebayError as exc:
                errors.append(exc)
        if len(errors) == len(self._options.urls):
            raise next((error for error in errors if not isinstance(error, PermanentError)), errors[0])
        for error in errors:
            _LOG.warning("channel %s: a member of the cluster is not told: %s", self.name, error)


def alert(notice: Notice, labels: Mapping[str, str], at: int, until: int | None) -> dict[str, Any]:
    """Return a notice as Alertmanager's API takes it.

    The labels are the alarm's identity there: they are the same each time it comes, and whatever becomes of it. What
    changes is in the annotations.

    Parameters
    ----------
    notice : Notice
    labels : mapping of str to str
        Of every alert.
    at : int
        Now, ns: nothing ends later, whatever the clock of its samples says.
    until : int or None
        Until when one that stands is to hold if nothing else is said, ns; None leaves that to Alertmanager.
    """
    known = {
        **labels,
        **notice.labels,
        "alertname": notice.rule,
        "alarm": notice.alarm,
        "key": notice.key,
        "class": notice.alarm_class,
        "severity": notice.alarm_class,
        "priority": str(notice.priority),
    }
    said = {
        "summary": notice.text,
        "value": "" if notice.value is None else str(notice.value),
        "state": notice.state,
        "occurrence": notice.occurrence,
        "by": notice.by,
        "comment": notice.comment,
    }
    end = until if notice.stands or notice.state == CAME else min(notice.time, at)
    return {
        "labels": {_label(name): value for name, value in known.items() if value},
        "annotations": {name: value for name, value in said.items() if value},
        "startsAt": format_time(notice.since),
        **({} if end is None else {"endsAt": format_time(max(end, notice.since))}),
        **({"generatorURL": notice.link} if _LINK.fullmatch(notice.link) else {}),
    }


def _label(name: str) -> str:
    """Return a name as labels may have."""
    clean = _NO_LABEL.sub("_", name)
    return f"_{clean}" if not clean or clean[0].isdigit() else clean
