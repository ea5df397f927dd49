"""A process with rules is killed in the midst of samples: the events are those of a run that nobody disturbed."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import pytest

from analytics.events.engine import Engine
from analytics.events.event import Event
from analytics.events.rules.loading import load
from analytics.events.rules.programs import program_of
from archiver.model import SampleBatch
from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service, until

RULES = """
[[rules]]
name = "high"
kind = "threshold"
elements = "K*"
above = 0.8
hysteresis = 0.3
alarm = "alert"

[[rules]]
name = "apart"
kind = "deviation"
inputs = { all = "K*" }
more_than = 0.9

[[rules]]
name = "rise"
kind = "sequence"
elements = "K*"
within = "20s"
steps = [{ name = "a", when = "value < 0.2" }, { name = "b", when = "value > 0.7" }]
"""
ELEMENTS, SAMPLES, PIECES = 5, 6000, 60
S = 1_000_000_000


def samples(start: int) -> list[SampleBatch]:
    """Some minutes of five elements up to a moment ago, in pieces."""
    random = np.random.default_rng(4)
    times = start + np.arange(SAMPLES) * (S // 20)
    names = [f"K{number}" for number in random.integers(0, ELEMENTS, SAMPLES)]
    values = random.random(SAMPLES)
    edges = pairwise(range(0, SAMPLES + 1, SAMPLES // PIECES))
    return [
        SampleBatch.from_columns(names[a:b], times[a:b], values[a:b], receive_time=int(times[b - 1])) for a, b in edges
    ]


def body(batch: SampleBatch) -> list[dict[str, object]]:
    return [{"element": row[0], "source_time": row[1], "value": row[6]} for row in batch.to_pylist()]


@pytest.mark.parametrize("seed", [1, 2])
def test_events_of_a_run_that_is_killed_again_and_again(tmp_path: Path, seed: int) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "rules.toml").write_text(RULES)
    (data / "forebay.toml").write_text('[events]\nrules = ["rules.toml"]\n')
    left = samples(time.time_ns() - (SAMPLES // 20) * S)
    engine = Engine([program_of(rule) for rule in load(data / "rules.toml")])
    state, events = engine.initial(), list[Event]()
    for batch in [*left, SampleBatch.empty()]:  # and a while later
        clock = int(left[-1].receive_time[-1]) + 9 * S if not len(batch) else int(batch.receive_time[-1])
        state, found = engine.advance(state, batch, clock)
        events += found
    wanted = {event.id: event.to_row() for event in events}
    deaths = iter(sorted(np.random.default_rng(seed).integers(1, PIECES - 1, 3).tolist()))
    death = next(deaths)
    number = 0
    while number < PIECES:
        with running_service(data) as service:
            while number < PIECES:
                if number == death:
                    death = next(deaths, -1)
                    service.kill()
                    break
                httpx.post(f"{service.url}/v1/samples", json=body(left[number]), timeout=SOON_S).raise_for_status()
                number += 1
            else:
                until(lambda url=service.url: lag(url) == 0 and len(kept(url)) >= len(wanted))
                assert kept(service.url) == wanted
                archived = httpx.get(f"{service.url}/v1/samples?element=event:*&start=now-1d", timeout=SOON_S)
                assert len(archived.json()["samples"]) == len(wanted)


def kept(url: str) -> dict[str, dict[str, object]]:
    answer = httpx.get(f"{url}/v1/events?start=now-1d&limit=100000", timeout=SOON_S).json()
    return {event["id"]: event for event in answer["events"]}


def lag(url: str) -> int:
    return int(httpx.get(f"{url}/v1/rules", timeout=SOON_S).json()["status"]["lag"])
