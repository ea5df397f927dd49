"""A million samples over REST as Arrow, the client's decoding included, beside the same read in process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from archiver.bootstrap import Archive
from bench.end_to_end import in_turns
from bench.peers.forebay_embedded import ForebayEmbedded, settings
from bench.peers.forebay_served import ForebayServed
from bench.peers.port import Load
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES = 1000, 1000
ROUNDS = 5


@bench("http-read")
def http_read() -> Iterator[Row]:
    """Read everything of two equal lakes: of a service, and of an archive in process."""
    load = Load.of(ELEMENTS, SAMPLES)
    with tempfile.TemporaryDirectory() as served, tempfile.TemporaryDirectory() as embedded:
        for folder in (served, embedded):
            with Archive(settings(Path(folder))) as archive:
                for future in [archive.intake.submit(batch) for batch in load.batches]:
                    future.result()
        remote, local = ForebayServed(), ForebayEmbedded()
        try:
            remote.start(Path(served))
            local.start(Path(embedded))
            over_http, in_process = in_turns(
                lambda: seconds(lambda: remote.samples(load.names, load.whole)),
                lambda: seconds(lambda: local.samples(load.names, load.whole)),
                rounds=ROUNDS,
            )
        finally:
            remote.stop()
            local.stop()
    figures = over_http * 1e3, "the same in process", in_process * 1e3
    yield Row(f"{load.rows:,} samples over REST as Arrow", *figures, "ms", 2.0, higher_is_better=False)
