"""Aggregates made by the database, beside those made here of the samples that it gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from archiver.backends.sql import SqlBackend
from archiver.backends.sql.options import SqlOptions
from archiver.model import Interval
from archiver.ports import BackendContext
from archiver.query import Query, execute
from archiver.testing.backend_suite.aggregation import Samples
from archiver.testing.postgresql import UnavailableError, find_binaries, running_server
from bench.data import SECOND, START, in_batches, peers_data
from bench.end_to_end import in_turns
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES = 1000, 1000
DAY = 86_400
MINUTE = 60 * SECOND
ROUNDS = 3


@bench("aggregation")
def aggregation() -> Iterator[Row]:
    """Means over 60 s of 1000 elements, and of one element with a sample a second for a day."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        urls = {"SQLite": "sqlite:///bench.db"}
        try:
            find_binaries()
            urls["PostgreSQL"] = stack.enter_context(running_server()).url
        except UnavailableError:
            pass
        for title, url in urls.items():
            for elements, samples in ((ELEMENTS, SAMPLES), (1, DAY)):
                name = f"{title}{elements}".lower()
                options = SqlOptions.model_validate({"url": url.replace("bench", name), "prefix": f"{name}_"})
                backend = SqlBackend(BackendContext(name, Path(folder)), options)
                backend.open()
                stack.callback(backend.close)
                yield _row(title, backend, elements, samples)


def _row(title: str, backend: SqlBackend, elements: int, samples: int) -> Row:
    data = peers_data(elements, samples)
    for batch in in_batches(data, 1_000_000):
        backend.write({"all": batch})
    whole = Interval(START, START + samples * SECOND)
    query = Query(tuple(sorted(data.elements)), whole, backend="it", aggregates=("mean",), bucket_ns=MINUTE)
    pushed, local = in_turns(
        lambda: seconds(lambda: execute(query, {"it": backend}).table()),
        lambda: seconds(lambda: execute(query, {"it": Samples(backend)}).table()),
        rounds=ROUNDS,
    )
    what = f"aggregate: {title}, {elements} elements x {samples} samples, mean of 60 s"
    return Row(what, pushed * 1e3, "its samples aggregated here", local * 1e3, "ms", 0.6, higher_is_better=False)
