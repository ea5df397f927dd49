"""Arrow batches through the whole archive in one process, beside raw pyarrow; the journal alone.

What is compared runs in turns, and medians are taken, so that a busy machine is as busy for both.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from archiver.bootstrap import Archive
from archiver.config import Settings
from archiver.journal.file import FileJournal, FileOptions
from archiver.journal.payload import encode
from archiver.model import SampleBatch
from archiver.model.time import now
from bench.data import in_batches, peers_data
from bench.parquet_backend import raw_write
from bench.registry import Row, bench
from bench.timing import seconds

ELEMENTS, SAMPLES = 1000, 4000
ROUNDS = 5
BATCH_ROWS, FILE_ROWS = 10_000, 1_000_000
LAKE = {"name": "lake", "kind": "parquet"}
_PATIENCE_S = 300.0


@bench("end-to-end")
def end_to_end() -> Iterator[Row]:
    """Intake, journal (synced), lane and lake until all is in the lake, plain and smoothed, beside raw pyarrow."""
    batches, files = data(SAMPLES)
    rows = sum(batch.num_rows for batch in batches)
    smoothing = {"kind": "value", "tolerance": 0.05}
    plain, smoothed, raw = in_turns(
        lambda: through(batches, [LAKE]),
        lambda: through(batches, [LAKE], smoothing=smoothing),
        lambda: raw_files(files),
        rounds=ROUNDS,
    )
    title = "Arrow batches -> intake -> journal -> lake"
    yield Row(title, rows / plain, "pyarrow: sort, write, sync", rows / raw, "samples/s", 0.5)
    smoothed_title = "the same, with smoothing and the ledger"
    yield Row(smoothed_title, rows / smoothed, "pyarrow: sort, write, sync", rows / raw, "samples/s", 0.35)


@bench("journal")
def journal() -> Iterator[Row]:
    """Append of 50,000 samples until it is durable, beside write and fdatasync of the same bytes."""
    batch = peers_data(ELEMENTS, 50).with_receive_time(now())
    payload = encode(batch)
    with tempfile.TemporaryDirectory() as folder:
        target = FileJournal(Path(folder), FileOptions())
        target.open()
        with (Path(folder) / "plain").open("wb", buffering=0) as file:

            def plain() -> None:
                file.write(payload)
                os.fdatasync(file.fileno())

            ours, raw = in_turns(
                lambda: seconds(lambda: target.append(batch).result()), lambda: seconds(plain), rounds=41
            )
        target.close()
    figures = ours * 1e3, "write + fdatasync", raw * 1e3
    yield Row("journal append of 50,000 samples", *figures, "ms", 2.0, higher_is_better=False)


def data(samples: int) -> tuple[list[SampleBatch], list[SampleBatch]]:
    """Return the peers' data as it arrives, and in as large parts as files are written."""
    whole = peers_data(ELEMENTS, samples)
    return list(in_batches(whole, BATCH_ROWS)), list(in_batches(whole, FILE_ROWS))


def through(
    batches: Sequence[SampleBatch],
    backends: Sequence[dict[str, Any]],
    *,
    smoothing: dict[str, Any] | None = None,
) -> float:
    """Return the seconds from the first batch submitted until all backends have everything."""
    names = [backend["name"] for backend in backends]
    group = {"name": "all", "elements": ["*"], "backends": names, "smoothing": smoothing or {"kind": "none"}}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.model_validate({"data": folder, "backends": backends, "groups": [group]})
        archive = Archive(settings).open()
        try:
            archive.wait_ready()

            def work() -> None:
                for future in [archive.intake.submit(batch) for batch in batches]:
                    future.result()
                for name in names:
                    if not archive.lanes[name].flush(_PATIENCE_S):
                        raise RuntimeError(f"backend {name} does not take what the journal holds")

            return seconds(work)
        finally:
            archive.close(drain=False)


def raw_files(files: list[SampleBatch]) -> float:
    """Return the seconds that pyarrow takes to sort, write and sync the same samples."""
    with tempfile.TemporaryDirectory() as folder:
        return raw_write(files, Path(folder))


def in_turns(*works: Callable[[], float], rounds: int) -> list[float]:
    """Return the median of what each gives, taken in turns; the first round does not count."""
    taken = [[work() for work in works] for _ in range(rounds + 1)][1:]
    return [statistics.median(column) for column in zip(*taken, strict=True)]
