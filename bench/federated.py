"""One query over three backends that each hold a third of the time, beside the same rows from one of them."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from archiver import registry
from archiver.model import ArchiveGroup, Interval, SampleBatch
from archiver.ports import Backend, BackendContext
from archiver.query import Known, Query, Range, execute
from archiver.query.plan import known_from
from bench.data import START, element_names, in_batches, peers_data
from bench.end_to_end import in_turns, seconds
from bench.registry import Row, bench

ELEMENTS, FEW, SAMPLES = 300, 10, 3000
ROUNDS = 7
NAMES = ("cold", "mild", "hot")
SECOND = 10**9


@bench("federated")
def federated() -> Iterator[Row]:
    """Read everything of one lake, and of three lakes by thirds; then a little, as a plot on a page does."""
    data = peers_data(ELEMENTS, SAMPLES)
    whole = Interval(START - SECOND, START + (SAMPLES + 1) * SECOND)
    edges = np.linspace(whole.start, whole.end, len(NAMES) + 1).astype(np.int64).tolist()
    ranges = tuple(Range(name, Interval(*span)) for name, span in zip(NAMES, itertools.pairwise(edges), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        readers = {"one": lake(Path(folder) / "one", data)}
        for part in ranges:
            readers[part.backend] = lake(Path(folder) / part.backend, data.filter(data.mask_interval(part.interval)))
        try:
            for elements in (ELEMENTS, FEW):
                names = tuple(element_names(ELEMENTS)[:elements])
                yield _row(readers, Query(names, whole, ranges=ranges), elements * SAMPLES)
        finally:
            for reader in readers.values():
                reader.close()


KNOWN = Known(
    known_from({}).classes,
    amount=lambda name, interval: (SAMPLES / (1 if name == "one" else len(NAMES)), interval),
)
"""What an archive knows: how much there is, and after some rounds what reading it costs."""


def _row(readers: dict[str, Backend], query: Query, rows: int) -> Row:
    alone = replace(query, ranges=(), backend="one")
    ours, single = in_turns(
        lambda: seconds(lambda: read(query, readers, rows)),
        lambda: seconds(lambda: read(alone, readers, rows)),
        rounds=ROUNDS,
    )
    work = f"{rows:,} samples of {len(query.elements)} elements, a third of the time from each of three backends"
    return Row(work, ours * 1e3, "the same of one", single * 1e3, "ms", 1.3, higher_is_better=False)


def lake(place: Path, data: SampleBatch) -> Backend:
    """Return an open lake that holds all of the data."""
    kind = registry.load(registry.BACKENDS, "parquet")
    groups = {"all": ArchiveGroup("all", ("*",), (place.name,))}
    backend: Backend = kind(BackendContext(place.name, place, groups), kind.Options())
    backend.open()
    for batch in in_batches(data, 1_000_000):
        backend.write({"all": batch})
    return backend


def read(query: Query, readers: dict[str, Backend], rows: int) -> None:
    """Read an answer to its end; it has so many rows."""
    found = sum(batch.num_rows for batch in execute(query, readers, known=KNOWN).rows)
    if found != rows:
        raise RuntimeError(f"the answer has {found} rows, not {rows}")
