"""One query over three backends that each hold a third of the time: beside one that holds all, and beside its parts."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from archiver import registry
from archiver.model import ArchiveGroup, Interval, SampleBatch
from archiver.ports import Backend, BackendContext
from archiver.query import Known, Query, Range, execute
from archiver.query.plan import known_from
from bench.data import START, element_names, in_batches, peers_data
from bench.end_to_end import in_turns
from bench.registry import Row, bench
from bench.timing import seconds

SAMPLES, ROUNDS = 3000, 15
NAMES = ("cold", "mild", "hot")
KINDS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "parquet": ({}, (1, 10, 300)),
    "sql": ({"url": "sqlite:///bench.db"}, (1, 30)),
}
"""Options, and how many elements are read: of backends that answer from memory, so that all that is done besides
shows, and of such that have to work for it."""
SECOND = 10**9


@bench("federated")
def federated() -> Iterator[Row]:
    """Read by thirds from three backends: a little, as a plot on a page does, some, and everything."""
    whole = Interval(START - SECOND, START + (SAMPLES + 1) * SECOND)
    edges = np.linspace(whole.start, whole.end, len(NAMES) + 1).astype(np.int64).tolist()
    ranges = tuple(Range(name, Interval(*span)) for name, span in zip(NAMES, itertools.pairwise(edges), strict=True))
    for kind, (options, sizes) in KINDS.items():
        data = peers_data(max(sizes), SAMPLES)
        with tempfile.TemporaryDirectory() as folder:
            readers = {"one": opened(kind, options, Path(folder) / "one", data)}
            for part in ranges:
                rows = data.filter(data.mask_interval(part.interval))
                readers[part.backend] = opened(kind, options, Path(folder) / part.backend, rows)
            try:
                for elements in sizes:
                    names = tuple(element_names(elements))
                    yield from _rows(kind, readers, Query(names, whole, ranges=ranges), elements * SAMPLES)
            finally:
                for reader in readers.values():
                    reader.close()


def _rows(kind: str, readers: dict[str, Backend], query: Query, rows: int) -> Iterator[Row]:
    """Yield what it takes over the same rows of one backend, and over the same parts asked for one after the other.

    The first is what a user sees, and holds two reads more than the baseline; the second is what joining them costs.
    """
    about = known()
    alone = replace(query, ranges=(), backend="one")
    parts = [replace(alone, interval=part.interval, backend=part.backend) for part in query.ranges]
    ours, single, apart = in_turns(
        lambda: seconds(lambda: _check(read(query, readers, about), rows)),
        lambda: seconds(lambda: _check(read(alone, readers, about), rows)),
        lambda: seconds(lambda: _check(sum(read(part, readers, about) for part in parts), rows)),
        rounds=ROUNDS,
    )
    work = f"{rows:,} samples of {len(query.elements)} elements, a third of the time from each of three ({kind})"
    yield Row(work, ours * 1e3, "the same of one", single * 1e3, "ms", 1.3, higher_is_better=False)
    yield Row(work, ours * 1e3, "the thirds, asked one by one", apart * 1e3, "ms", 1.3, higher_is_better=False)


def known() -> Known:
    """Return what an archive knows: how much there is, and after some rounds what reading it costs."""
    return Known(
        known_from({}).classes,
        amount=lambda name, interval: (SAMPLES / (1 if name == "one" else len(NAMES)), interval),
    )


def opened(kind: str, options: dict[str, Any], place: Path, data: SampleBatch) -> Backend:
    """Return an open backend that holds all of the data."""
    make = registry.load(registry.BACKENDS, kind)
    groups = {"all": ArchiveGroup("all", ("*",), (place.name,))}
    place.mkdir()
    backend: Backend = make(BackendContext(place.name, place, groups), make.Options(**options))
    backend.open()
    for batch in in_batches(data, 1_000_000):
        backend.write({"all": batch})
    return backend


def read(query: Query, readers: dict[str, Backend], about: Known) -> int:
    """Read an answer to its end; return its rows."""
    return sum(batch.num_rows for batch in execute(query, readers, known=about).rows)


def _check(found: int, rows: int) -> None:
    if found != rows:
        raise RuntimeError(f"the answer has {found} rows, not {rows}")
