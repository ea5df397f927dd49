"""Aggregates made by the backend beside its data, beside those made here of the samples that it gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from archiver.backends.parquet import ParquetBackend
from archiver.backends.parquet.options import ParquetOptions
from archiver.backends.sql import SqlBackend
from archiver.backends.sql.options import SqlOptions
from archiver.model import Interval
from archiver.ports import Backend, BackendContext, SupportsCompaction
from archiver.query import Query, execute
from archiver.testing.backend_suite.aggregation import Samples
from archiver.testing.postgresql import UnavailableError, find_binaries, running_server
from bench.data import SECOND, START, in_batches, peers_data
from bench.end_to_end import in_turns
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES, LAKE_SAMPLES = 1000, 1000, 10_000
DAY = 86_400
MINUTE = 60 * SECOND
ROUNDS = 3


@bench("aggregation")
def aggregation() -> Iterator[Row]:
    """Buckets of 60 s: of 1000 elements, and of one element with a sample a second for a day."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        urls = {"SQLite": "sqlite:///bench.db"}
        try:
            find_binaries()
            urls["PostgreSQL"] = stack.enter_context(running_server()).url
        except UnavailableError:
            pass
        lake = ParquetBackend(BackendContext("lake", Path(folder)), ParquetOptions())
        lake.open()
        stack.callback(lake.close)
        yield compared("lake", lake, ELEMENTS, LAKE_SAMPLES, ("min", "max"))
        for title, url in urls.items():
            for elements, samples in ((ELEMENTS, SAMPLES), (1, DAY)):
                name = f"{title}{elements}".lower()
                options = SqlOptions.model_validate({"url": url.replace("bench", name), "prefix": f"{name}_"})
                backend = SqlBackend(BackendContext(name, Path(folder)), options)
                backend.open()
                stack.callback(backend.close)
                yield compared(title, backend, elements, samples)


def compared(title: str, backend: Backend, elements: int, samples: int, aggregates: tuple[str, ...] = ("mean",)) -> Row:
    """Measure aggregates of peers' data, which is written to an empty backend first."""
    data = peers_data(elements, samples)
    for batch in in_batches(data, 1_000_000):
        backend.write({"all": batch})
    if isinstance(backend, SupportsCompaction):
        backend.compact()
    whole = Interval(START, START + samples * SECOND)
    query = Query(tuple(sorted(data.elements)), whole, backend="it", aggregates=aggregates, bucket_ns=MINUTE)
    pushed, local = in_turns(
        lambda: seconds(lambda: execute(query, {"it": backend}).table()),
        lambda: seconds(lambda: execute(query, {"it": Samples(backend)}).table()),
        rounds=ROUNDS,
    )
    what = f"aggregate: {title}, {elements} elements x {samples} samples, {' and '.join(aggregates)} of 60 s"
    return Row(what, pushed * 1e3, "its samples aggregated here", local * 1e3, "ms", 0.6, higher_is_better=False)
