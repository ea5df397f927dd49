#!/usr/bin/env python3
"""SIGKILL the archive at every seam, again and again on the same data: nothing is lost, nothing is doubled.

A child process archives numbered samples into a Parquet lake and SQLite, through a plain and a smoothed group, writes
down each acknowledgement, and kills itself at a seam that the seed picks: inside the journal's commit, inside a
backend's write, between write and position, in the ledger, in compaction, in trimming, or anywhere. The next child
recovers and goes on, sending again what was not acknowledged. At the end both backends are read and compared with what
was acknowledged, and the ledger with what the backends hold.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

T0 = 1_760_000_000_000_000_000
ELEMENTS = 20
BATCH = 500
TOLERANCE = 3.0
PATIENCE_S = 300.0  # a machine that is busy holds up a process for seconds
SEAMS = {
    "journal: before the commit": ("archiver.journal.segments:Segments.append", "before"),
    "journal: committed, nobody told": ("archiver.journal.file:FileJournal._publish", "before"),
    "lane: processed, not written": ("archiver.pipeline.delivery:Delivery._write", "before"),
    "ledger: before its record": ("archiver.pipeline.ledger:Ledger.record", "before"),
    "ledger: recorded, backend not committed": ("archiver.pipeline.ledger:Ledger.record", "after"),
    "lake: file written, not committed": ("archiver.backends.parquet.writing:FileWriter.close", "after"),
    "lake: before the Delta commit": ("archiver.backends.parquet.log:DeltaLog.commit", "before"),
    "lake: after the Delta commit": ("archiver.backends.parquet.log:DeltaLog.commit", "after"),
    "lake: written, the lane not told": ("archiver.backends.parquet.backend:ParquetBackend.write", "after"),
    "sql: before the write": ("archiver.backends.sql.backend:SqlBackend.write", "before"),
    "sql: committed, the lane not told": ("archiver.backends.sql.backend:SqlBackend.write", "after"),
    "lane: written, not published": ("archiver.pipeline.lane:Lane._publish", "before"),
    "compaction: begins": ("archiver.backends.parquet.backend:ParquetBackend._merge", "before"),
    "compaction: merged, not committed": ("archiver.backends.parquet.compaction:Merger.merge", "after"),
    "compaction: committed": ("archiver.backends.parquet.backend:ParquetBackend._merge", "after"),
    "snapshot: before": ("archiver.pipeline.store:Snapshots.save", "before"),
    "snapshot: after": ("archiver.pipeline.store:Snapshots.save", "after"),
    "journal: trimming": ("archiver.journal.segments:Segments.trim", "after"),
    "anywhere": ("", ""),
}


def settings(directory: Path) -> Any:
    """Two backends, a plain group in both and a smoothed one in the lake."""
    from archiver import config

    lane = {"flush_interval": "30ms", "retry_first": "5ms"}
    return config.parse(
        {
            "data": str(directory),
            "backends": [
                {"name": "lake", "kind": "parquet", "lane": lane},
                {"name": "warm", "kind": "sql", "url": "sqlite:///warm.db", "lane": lane},
            ],
            "groups": [
                {"name": "all", "elements": ["K*"], "backends": ["lake", "warm"]},
                {
                    "name": "thin",
                    "elements": ["K*"],
                    "backends": ["lake"],
                    "smoothing": {"kind": "value", "tolerance": TOLERANCE},
                },
            ],
        }
    )


def numbered(first: int, count: int) -> Any:
    """Samples `first` to `first + count`: element, time and value follow from the number."""
    from archiver.model import SampleBatch

    numbers = range(first, first + count)
    names = [f"K{n % ELEMENTS}" for n in numbers]
    return SampleBatch.from_columns(names, [T0 + n * 1_000_000 for n in numbers], [value_of(n) for n in numbers])


def value_of(number: int) -> float:
    """A slow ramp for each element, with a step now and then: smoothing has something to do."""
    return number / ELEMENTS * 0.5 + (10.0 if number // 5000 % 2 else 0.0)


# -- the child ------------------------------------------------------------------------------------------------------


def die() -> None:
    """End as a power switch would."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(seam: str, count: int, rng: random.Random) -> None:
    """Make the `count`-th passage of a seam the last thing that happens."""
    target, when = SEAMS[seam]
    if not target:
        threading.Timer(rng.random() * 1.5, die).start()
        return
    import importlib

    module, _, path = target.partition(":")
    owner_name, method = path.split(".")
    owner = getattr(importlib.import_module(module), owner_name)
    original: Callable[..., Any] = getattr(owner, method)
    left = count

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        left -= 1
        if left <= 0 and when == "before":
            die()
        result = original(*args, **kwargs)
        if left <= 0:
            die()
        return result

    setattr(owner, method, wrapped)


def child(directory: Path, seam: str, seed: int, limit_s: float) -> None:
    """Archive from where the acknowledgements end, until killed or out of time."""
    from archiver.bootstrap import Archive

    rng = random.Random(seed)
    acknowledged = directory / "acknowledged"
    first = len(acknowledged.read_bytes()) // 9 * BATCH if acknowledged.exists() else 0
    arm(seam, rng.randint(1, 4), rng)
    archive = Archive(settings(directory / "data")).open()
    file = os.open(acknowledged, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        archive.intake.submit(numbered(first, BATCH)).result(PATIENCE_S)
        os.write(file, f"{first // BATCH:08d}\n".encode())
        first += BATCH
        if rng.random() < 0.2:
            archive.flush(10)
        if rng.random() < 0.1:
            archive.keep()
    if seam != "anywhere":
        print("passed", flush=True)  # the parent counts it
    die()


# -- the parent -----------------------------------------------------------------------------------------------------


def run(rounds: int, seed: int, directory: Path) -> int:
    """Run the rounds and the verdict; return the exit status."""
    rng = random.Random(seed)
    reached: Counter[str] = Counter()
    seams = list(SEAMS)
    for number in range(rounds):
        seam = seams[number % len(seams)]
        arguments = [
            sys.executable,
            __file__,
            "--child",
            str(directory),
            "--seam",
            seam,
            "--seed",
            str(rng.getrandbits(32)),
        ]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=3 * PATIENCE_S, check=False)
        if done.returncode != -signal.SIGKILL:
            print(f"round {number} ({seam}): the child ended with {done.returncode} by itself\n{done.stderr[-3000:]}")
            return 1
        reached[seam] += "passed" not in done.stdout
    missed = sorted(seam for seam in seams[: min(rounds, len(seams))] if not reached[seam])
    if missed and rounds >= len(seams):
        print(f"these seams were never reached: {', '.join(missed)}")
        return 1
    return verdict(directory, rounds)


def verdict(directory: Path, rounds: int) -> int:
    """Compare what was acknowledged with what both backends hold, and the ledger with both."""
    from archiver.bootstrap import Archive

    acknowledged = len((directory / "acknowledged").read_bytes()) // 9 * BATCH
    with Archive(settings(directory / "data")) as archive:
        archive.wait_ready(PATIENCE_S)
        if not archive.flush(PATIENCE_S):
            print("a backend did not take what the journal holds")
            return 1
        bad = [problem for name in ("lake", "warm") for problem in compare(archive, name, acknowledged)]
        bad += compare_smoothed(archive)
        bad += compare_ledger(archive)
    print(f"{rounds} kills, {acknowledged} samples acknowledged; " + ("; ".join(bad) or "none lost, none doubled"))
    return 1 if bad else 0


def rows_of(archive: Any, backend: str, group: str) -> list[tuple[str, int, float]]:
    """Everything that a backend itself holds of a group, all versions."""
    from archiver.model import Kind
    from archiver.model.time import ALWAYS

    names = [f"K{i}" for i in range(ELEMENTS)]
    rows = []
    for batch in archive.lanes[backend].backend.read(names, ALWAYS, groups=[group], versions=True):
        values = batch.values(Kind.FLOAT).to_pylist()
        rows += [
            (batch.elements[c], t, v) for c, t, v in zip(batch.codes, batch.source_time.tolist(), values, strict=True)
        ]
    return rows


def compare(archive: Any, backend: str, acknowledged: int) -> list[str]:
    """The plain group holds each acknowledged sample once, and of the others none twice."""
    rows = rows_of(archive, backend, "all")
    numbers = [(time_ns - T0) // 1_000_000 for _, time_ns, _ in rows]
    bad = []
    if lost := set(range(acknowledged)) - set(numbers):
        bad.append(f"{backend}: {len(lost)} lost, such as {sorted(lost)[:3]}")
    if len(numbers) > len(set(numbers)):
        bad.append(f"{backend}: {len(numbers) - len(set(numbers))} doubled")
    wrong = [
        n
        for n, (name, _, value) in zip(numbers, rows, strict=True)
        if (name, value) != (f"K{n % ELEMENTS}", value_of(n))
    ]
    if wrong:
        bad.append(f"{backend}: {len(wrong)} changed, such as {wrong[:3]}")
    return bad


def compare_smoothed(archive: Any) -> list[str]:
    """The smoothed group holds exactly what smoothing without any crash keeps."""
    from archiver.model import SampleBatch
    from archiver.model.time import ALWAYS
    from archiver.smoothing import Smoother

    names = [f"K{i}" for i in range(ELEMENTS)]
    plain = SampleBatch.concat(list(archive.lanes["lake"].backend.read(names, ALWAYS, groups=["all"])))
    expected = Smoother(archive.groups.groups["thin"].smoothing).apply(plain).stored.sorted()
    wanted = set(zip((expected.elements[c] for c in expected.codes), expected.source_time.tolist(), strict=True))
    got = [(name, time_ns) for name, time_ns, _ in rows_of(archive, "lake", "thin")]
    if set(got) == wanted and len(got) == len(wanted):
        return []
    missing, extra, doubled = len(wanted - set(got)), len(set(got) - wanted), len(got) - len(set(got))
    return [f"smoothed: {missing} missing, {extra} too many, {doubled} doubled"]


def compare_ledger(archive: Any) -> list[str]:
    """What the ledger calls stored is what the backends hold."""
    stored = {(t.lane, t.group): t.count for t in archive.totals() if t.outcome == "stored"}
    bad = []
    for key in (("lake", "all"), ("warm", "all"), ("lake", "thin")):
        held = len(rows_of(archive, *key))
        if stored.get(key, 0) != held:
            bad.append(f"ledger: {stored.get(key, 0)} stored in {key[0]}/{key[1]}, which holds {held}")
    return bad


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", type=Path)
    parser.add_argument("--seam", default="anywhere")
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.seam, arguments.seed, limit_s=PATIENCE_S)
        return 0
    directory = Path(tempfile.mkdtemp(prefix="kill-"))
    try:
        return run(arguments.rounds, arguments.seed, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
