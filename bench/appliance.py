"""A million samples of one element as the `.raw` of an EPICS Archiver Appliance, beside the same as Arrow over REST."""

from __future__ import annotations

import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from archiver.bootstrap import Archive
from archiver.model import format_time
from bench.end_to_end import in_turns
from bench.peers.forebay_embedded import settings
from bench.peers.forebay_served import ForebayServed
from bench.peers.port import Load
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES = 1, 1_000_000
ROUNDS = 3


@bench("appliance")
def appliance() -> Iterator[Row]:
    """Read all samples, and the thousand bins that a plot shows of them."""
    load = Load.of(ELEMENTS, SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        with Archive(settings(Path(folder))) as archive:
            for future in [archive.intake.submit(batch) for batch in load.batches]:
                future.result()
        service = ForebayServed()
        try:
            service.start(Path(folder))

            def asked(pv: str) -> None:
                span = {"from": format_time(load.whole.start), "to": format_time(load.whole.end)}
                query = urlencode({"pv": pv, **span})
                with urllib.request.urlopen(f"{service.url}/retrieval/data/getData.raw?{query}") as answer:
                    while answer.read(2**20):
                        pass

            (name,) = load.names
            raw, plot, arrow = in_turns(
                lambda: seconds(lambda: asked(name)),
                lambda: seconds(lambda: asked(f"optimized_1000({name})")),
                lambda: seconds(lambda: service.samples(load.names, load.whole)),
                rounds=ROUNDS,
            )
        finally:
            service.stop()
    baseline = "the same as Arrow", arrow * 1e3
    yield Row(f"{load.rows:,} samples as .raw", raw * 1e3, *baseline, "ms", higher_is_better=False)
    yield Row(f"optimized_1000 of {load.rows:,} samples", plot * 1e3, *baseline, "ms", higher_is_better=False)
