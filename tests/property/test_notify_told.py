"""Whatever happens to alarms, channel and process: what became of every alarm is told in the end, and only that."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from archiver import config
from archiver.model import PermanentError, TransientError
from archiver.model.time import NANOSECONDS, parse_time
from services.events.notify import Notice, Outbox, outbox
from services.events.notify.channel import Channel
from services.events.notify.notice import ACKNOWLEDGED, CAME, GONE, SHELVED

START = parse_time("2026-03-02T12:00:00Z")
ALARMS = ["a", "b", "c"]
QUIET = {"start": "22:00", "end": "06:00", "unless": {"classes": ["danger"]}}


class CrashError(BaseException):
    """The process ends."""


class TellingMachine(RuleBasedStateMachine):
    """Alarms that change, a channel that fails and is killed, a configuration that is changed, and time that passes."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.time = START
        self.clock = patch.object(outbox, "now", lambda: self.time)
        self.clock.start()
        self.outbox = Outbox(Path(self.directory.name) / "events.db")
        self.outbox.store._connection.execute("PRAGMA synchronous=OFF")  # of the logic, not of the disk
        self.occurrence = dict.fromkeys(ALARMS, 0)
        self.last: dict[tuple[str, str], Notice] = {}  # of each occurrence, what became of it last
        self.told: list[Notice] = []  # new in a message that arrived
        self.shown: dict[tuple[str, str], str] = {}  # what the other side knows of each occurrence
        self.failure: BaseException | None = None
        self.repeats = False  # whether a message may have come twice

    def teardown(self) -> None:
        self.outbox.close()
        self.clock.stop()
        self.directory.cleanup()

    @initialize(
        by=st.sampled_from([[], ["class"], ["alarm"]]), quiet=st.booleans(), repeat=st.sampled_from(["0s", "1h"])
    )
    def start(self, by: list[str], quiet: bool, repeat: str) -> None:
        table = {"name": "ops", "kind": "webhook", "url": "http://x", "group_by": by, "repeat_interval": repeat}
        hours = {"quiet_hours": [QUIET]} if quiet else {}
        (self.settings,) = config.parse({"notify": [{**table, **hours, "give_up_after": "900d"}]}).notify
        self._open()

    def _open(self) -> None:
        self.channel = Channel(self.settings, self.outbox, lambda: self.time)
        self.channel._notifier = self  # type: ignore[assignment]
        self.channel.open()

    def send(self, group: object) -> None:
        failure, self.failure = self.failure, None
        if failure is not None and not isinstance(failure, CrashError):
            raise failure
        self.told += group.new
        self.shown |= {(notice.alarm, notice.occurrence): notice.id for notice in group.notices}
        if failure is not None:  # it has arrived, and nobody knows
            self.repeats = True
            raise failure

    # -- what happens ---------------------------------------------------------------------------------

    @rule(alarm=st.sampled_from(ALARMS), state=st.sampled_from([CAME, CAME, ACKNOWLEDGED, GONE, SHELVED]))
    def change(self, alarm: str, state: str) -> None:
        key = alarm, str(self.occurrence[alarm])
        before = self.last.get(key)
        if state == CAME and (before is None or before.state == GONE):
            self.occurrence[alarm] += 1
            key = alarm, str(self.occurrence[alarm])
        elif before is None or before.state == GONE or before.state == state:
            return
        self.time += 1
        stands = state in (CAME, ACKNOWLEDGED)
        kind = "danger" if alarm == "c" else "alert"
        notice = Notice(alarm, key[1], state, self.time, self.time, stands, "hot", alarm, kind)
        self.outbox.add([notice, notice])
        self.last[key] = notice

    @rule(alarm=st.sampled_from(ALARMS))
    def flap(self, alarm: str) -> None:
        for state in (CAME, GONE, CAME):
            self.change(alarm, state)

    @rule(seconds=st.sampled_from([1, 40, 400, 4000, 40_000]))
    def wait(self, seconds: int) -> None:
        end = self.time + seconds * NANOSECONDS
        while self.time < end:
            try:
                due = self.channel.step()
            except CrashError:
                self._open()
                continue
            self.time = min(max(due, self.time + 1), end)

    @rule(kind=st.sampled_from([TransientError, ZeroDivisionError, CrashError]))
    def fail(self, kind: type[BaseException]) -> None:
        self.failure = kind("it does not work")

    @rule()
    def restart(self) -> None:
        self._open()

    @rule(by=st.sampled_from([(), ("class",), ("alarm",), ("rule", "key")]))
    def configure(self, by: tuple[str, ...]) -> None:
        self.settings = self.settings.model_copy(update={"group_by": by})
        self._open()

    @rule()
    def refuse_and_retry(self) -> None:
        self.failure = PermanentError("no")
        self.wait(400)
        for failed in self.outbox.failed():
            self.outbox.retry(failed.id)
        self.channel.wake()

    # -- what holds -----------------------------------------------------------------------------------

    @invariant()
    def nothing_is_told_twice_without_a_reason(self) -> None:
        ids = [notice.id for notice in self.told]
        assert self.repeats or len(ids) == len(set(ids))

    def finish(self) -> None:
        self.failure = None
        self.wait(40_000)
        self.wait(40_000)
        for failed in self.outbox.failed():
            self.outbox.retry(failed.id)
        self.channel.wake()
        self.wait(40_000)
        self.wait(40_000)
        assert self.shown == {key: notice.id for key, notice in self.last.items()}
        assert self.channel.status().waiting == 0

    @rule()
    def everything_is_told_in_the_end(self) -> None:
        self.finish()


TestTelling = TellingMachine.TestCase
