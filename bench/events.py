"""Rules over samples, in one process, beside reading the same batches and doing nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from analytics.events.engine import Engine, Program, State
from analytics.events.latch import Latch
from analytics.events.matching import Inputs, Pattern
from analytics.events.signals.threshold import Band, Threshold
from archiver.journal.payload import decode, encode
from archiver.model import Kind, SampleBatch
from bench.data import in_batches, peers_data
from bench.end_to_end import in_turns
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES, BATCH_ROWS, ROUNDS = 1000, 500, 5000, 5


@bench("events")
def events() -> Iterator[Row]:
    """One rule on all elements, and 100 rules on ten each; batches as a journal holds them, five samples an element."""
    payloads = [bytes(encode(part)) for part in in_batches(peers_data(ELEMENTS, SAMPLES), BATCH_ROWS)]
    one = [rule("hot", "*")]
    hundred = [rule(f"hot{number:02d}", f"*{number:02d}.value") for number in range(100)]
    for title, programs in (("1 rule on 1000 elements", one), ("100 rules on 10 elements each", hundred)):
        engine = Engine(programs)
        first = decode(payloads[0])
        state, _ = engine.advance(engine.initial(), first, int(first.receive_time[-1]))
        bare, ours = in_turns(
            partial(seconds, partial(read, payloads[1:])),
            partial(seconds, partial(advance, engine, state, payloads[1:])),
            rounds=ROUNDS,
        )
        rows = ELEMENTS * SAMPLES - len(first)
        yield Row(f"events: {title}", rows / ours, "reading the batches", rows / bare, "samples/s")


def rule(name: str, pattern: str) -> Program:
    """Return a rule that compares each element with a limit."""
    threshold = Threshold(Band(above=60.0, hysteresis=5.0))
    return Program(name, Inputs({"value": [Pattern(pattern)]}, each=True), Latch(threshold))


def advance(engine: Engine, state: State, payloads: Sequence[bytes]) -> None:
    """Run rules whose instances have come up over more samples."""
    for payload in payloads:
        batch = decode(payload)
        state, _ = engine.advance(state, batch, int(batch.receive_time[-1]))


def read(payloads: Sequence[bytes]) -> None:
    """Read all samples: names, times and values."""
    for payload in payloads:
        columns(decode(payload))


def columns(batch: SampleBatch) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return what any reader has to look at."""
    return batch.elements, batch.codes, batch.source_time, batch.values(Kind.FLOAT).to_numpy(zero_copy_only=False)
