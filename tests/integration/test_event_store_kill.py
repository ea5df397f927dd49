"""SIGKILL in the midst of commits, again and again on one file: what was told committed is there, all or nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from analytics.alarms.actions import Signal
from analytics.alarms.alarm import Alarm
from analytics.alarms.classes import DEFAULT_CLASSES
from analytics.alarms.life import step
from analytics.events.event import CAME, GONE, Event
from archiver.testing.patience import SOON_S
from services.events.commit import Commit
from services.events.frames import Frame
from services.events.store import FILE, EventStore

ROUNDS = 8
SEAMS = ("events", "alarms", "frames", "state", "position")
ALARMS = 5


def events_of(number: int) -> list[Event]:
    """What commit `number` is about: each alarm comes in an even one and goes in an odd one."""
    kind = GONE if number % 2 else CAME
    return [Event("hot", f"T{key}", kind, number, value=float(number)) for key in range(ALARMS)]


def write(store: EventStore, number: int) -> None:
    with store.commit() as tx:
        for event in tx.events(events_of(number)):
            alarm = Alarm("hot", event.key, DEFAULT_CLASSES["information"])
            tx.alarms([step(tx.alarm(alarm.id) or alarm, Signal(event))])
            if event.kind == CAME:
                tx.frames([Frame.between(event)])
            else:
                tx.frames([Frame.between(Event("hot", event.key, CAME, number - 1), event)])
        tx.state("runner", str(number).encode())
        tx.position("journal", number)


def die_after(seam: str) -> None:
    """Let the third commit be killed by a power switch when it has done one of its parts."""
    done, calls = getattr(Commit, seam), count(1)

    def part(*given: object) -> object:
        result = done(*given)
        if next(calls) == 3 * (ALARMS if seam in ("alarms", "frames") else 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(Commit, seam, part)


def work(path: Path, seam: str) -> None:
    """Commit for ever, and tell each commit that has returned."""
    if seam:
        die_after(seam)
    store = EventStore(path)
    last = store.position("journal")
    number = 0 if last is None else last + 1
    while True:
        write(store, number)
        print(number, flush=True)
        number += 1


def check(path: Path, told: int) -> int:
    """Compare what is in the file with what each commit wrote; return the last commit."""
    store = EventStore(path)
    last = store.position("journal")
    assert last is not None
    assert last >= told
    assert store.state("runner") == str(last).encode()
    assert store.events() == [event for number in range(last + 1) for event in events_of(number)]
    history = store.transitions()
    assert history.num_rows == (last + 1) * ALARMS
    assert set(history["effect"].to_pylist()) == {"applied"}
    assert len(set(history["id"].to_pylist())) == history.num_rows
    alarms = store.alarms()
    assert [(alarm.key, alarm.active, alarm.newest) for alarm in alarms] == [
        (f"T{key}", last % 2 == 0, (last, 0)) for key in range(ALARMS)
    ]
    assert {alarm.revision for alarm in alarms} == {last + 1}
    frames = store.frames()
    assert len(frames) == (last // 2 + 1) * ALARMS
    assert sum(frame.closed is None for frame in frames) == (ALARMS if last % 2 == 0 else 0)
    assert len(store.occurrences()) == len(frames)
    store.close()
    return last


@pytest.mark.timeout(SOON_S * 4)
def test_a_kill_in_the_midst_of_commits_loses_and_halves_nothing(tmp_path: Path):
    path = tmp_path / FILE
    chance, last = random.Random(7), -1
    for _ in range(ROUNDS):
        process = subprocess.Popen([sys.executable, __file__, str(path), ""], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        told = last
        try:
            for _ in range(chance.randint(1, 40)):
                told = int(process.stdout.readline())
        finally:
            process.kill()
            rest = process.stdout.read().splitlines(keepends=True)
            process.wait()
            process.stdout.close()
        told = max([told, *(int(line) for line in rest if line.endswith("\n"))])
        before, last = last, check(path, told)
        assert last > before


@pytest.mark.timeout(SOON_S * 4)
def test_a_kill_between_the_parts_of_a_commit_leaves_none_of_them(tmp_path: Path):
    last = -1
    for seam in SEAMS:
        told = run(tmp_path / FILE, seam).splitlines()
        assert told == [str(last + 1), str(last + 2)]
        last = check(tmp_path / FILE, int(told[-1]))
        assert last == int(told[-1])


def run(path: Path, seam: str) -> str:
    done = subprocess.run([sys.executable, __file__, path, seam], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2])
