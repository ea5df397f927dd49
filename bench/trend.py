"""The first plot of a trend of five million samples over HTTP, beside reading the same range in process.

The plot gets what the page asks for: about 2000 points as CSV, thinned by the archive. Who reads in process gets every
sample in memory. So the ratio says what reading costs a plot on top of what cannot be avoided: thinning, and HTTP.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from archiver.bootstrap import Archive
from archiver.model import format_time
from archiver.query import Query
from bench.end_to_end import in_turns
from bench.peers.forebay_embedded import settings
from bench.peers.port import Load
from bench.registry import Row, bench
from bench.service import Client, Service
from bench.timing import seconds

SAMPLES = 5_000_000
POINTS = 2000
ROUNDS = 5
_CSV = {"Accept": "text/csv", "Accept-Encoding": "gzip"}


@bench("trend")
def trend() -> Iterator[Row]:
    """Read one element of two equal lakes: as a plot of a service, and whole from an archive in process."""
    load = Load.of(1, SAMPLES)
    with tempfile.TemporaryDirectory() as served, tempfile.TemporaryDirectory() as embedded:
        for folder in (served, embedded):
            with Archive(settings(Path(folder))) as archive:
                for future in [archive.intake.submit(batch) for batch in load.batches]:
                    future.result()
                archive.flush()
                archive.keep()
        names, whole = tuple(load.names), load.whole
        asked = [("element", names[0]), ("start", format_time(whole.start)), ("end", format_time(whole.end))]
        path = f"/v1/samples?{urlencode([*asked, ('before', 1), ('points', POINTS), ('outcome', 'true')])}"
        with Service(Path(served)) as url, Archive(settings(Path(embedded))) as archive:
            client = Client(url)
            over_http, in_process = in_turns(
                lambda: seconds(lambda: client.send("GET", path, headers=_CSV)),
                lambda: seconds(lambda: archive.query(Query(names, whole)).table()),
                rounds=ROUNDS,
            )
    figures = over_http * 1e3, "all samples read in process", in_process * 1e3
    yield Row(f"{POINTS:,} points of {SAMPLES:,} samples over HTTP", *figures, "ms", 2.0, higher_is_better=False)
