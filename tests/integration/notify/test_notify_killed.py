"""A process that is killed in the midst of sending: what was queued is told, and known when it is told again."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter

from archiver.testing.hook import Mood, running_hook
from archiver.testing.patience import SOON_S
from archiver.testing.service import until

SENDER = """
import itertools, sys
from pathlib import Path
from archiver import config
from services.events.notify import Notice, Notifications, Outbox, enqueue

outbox = Outbox(Path(sys.argv[1]))
at_once = {"group_wait": "0s", "group_interval": "0s", "retry_first": "1ms", "retry_longest": "10ms"}
table = {"name": "hook", "kind": "webhook", "url": sys.argv[2], "timeout": sys.argv[4], **at_once}
notifications = Notifications(outbox)
notifications.use(config.parse({"notify": [table]}).notify)
for number in itertools.count(int(sys.argv[3])):
    with outbox.store.transaction() as connection:
        enqueue(connection, [Notice(f"a{number}", "1", "came", number, number, True, "hot", "T1")])
    notifications.wake()
    print(number, flush=True)
"""


def run(directory, hook, first):
    command = [sys.executable, "-c", SENDER, directory / "events.db", hook.url, str(first), f"{SOON_S:g}s"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def queued_until(process, hook):
    """Kill a process while a request of its own is under way; return the last number that it had queued for certain."""
    last = int(process.stdout.readline())
    hook.mood = Mood(gate=threading.Event())
    while hook.asked.acquire(blocking=False):
        pass
    assert hook.asked.acquire(timeout=SOON_S)
    process.kill()
    rest, _ = process.communicate()
    whole = rest.splitlines() if rest.endswith("\n") else rest.splitlines()[:-1]
    hook.mood.gate.set()
    hook.mood = Mood()
    return int(whole[-1]) if whole else last


def test_nothing_is_lost_and_what_is_told_again_is_known(tmp_path, house):
    with running_hook() as hook:
        first = 0
        for _ in range(4):
            with run(tmp_path, hook, first) as process:
                first = queued_until(process, hook) + 1
        house.use({"kind": "webhook", "name": "hook", "url": hook.url})
        until(lambda: house.status("hook").waiting == 0 and house.status("hook").sent)
        messages = {posted.headers["Idempotency-Key"]: posted.body for posted in hook.posted}
        told = [(n["alarm"], n["id"]) for body in messages.values() for n in json.loads(body)["notices"] if n["fresh"]]
    assert {f"a{number}" for number in range(first)} <= {alarm for alarm, _ in told}
    ids = Counter(alarm for alarm, _ in set(told))
    assert set(ids.values()) == {1}, "however often an alarm is told, it has one id"
    assert house.outbox.failed() == []
