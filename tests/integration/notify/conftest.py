"""An outbox, its channels, and notices for them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archiver import config
from archiver.model.time import now
from archiver.testing.authority import Authority
from archiver.testing.patience import SOON_S
from services.events.notify import Notice, Notifications, Outbox
from services.events.notify.notice import ACKNOWLEDGED, CAME

AT_ONCE = {"group_wait": "0s", "group_interval": "0s", "retry_first": "10ms", "retry_longest": "100ms"}
AT_ONCE["timeout"] = f"{SOON_S:g}s"


class House:
    """An outbox, and the channels that a test configures."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.notifications = Notifications(outbox)

    def use(self, *tables: dict[str, Any]) -> list[str]:
        document = {"notify": [{"name": table["kind"], **AT_ONCE, **table} for table in tables]}
        return self.notifications.use(config.parse(document).notify)

    def tell(self, *notices: Notice) -> None:
        self.outbox.add(notices)
        self.notifications.wake()

    def status(self, name: str) -> Any:
        return next(status for status in self.notifications.status() if status.name == name)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    outbox = Outbox(tmp_path / "events.db")
    made = House(outbox)
    yield made
    made.notifications.close()
    outbox.close()


@pytest.fixture
def notice() -> Callable[..., Notice]:
    """Give a function that makes a notice of an alarm, later than the one before."""
    start, numbers = now(), itertools.count()

    def make(alarm: str, state: str = CAME, occurrence: str = "1", **more: Any) -> Notice:
        fields: dict[str, Any] = {"rule": "hot", "key": "plant:T1", "alarm_class": "alert", "priority": 60}
        fields |= {"text": f"text of {alarm}", "stands": state in (CAME, ACKNOWLEDGED), **more}
        return Notice(alarm, occurrence, state, start + next(numbers), start - 1, **fields)

    return make


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))
