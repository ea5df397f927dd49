"""Opening and closing while others compact, write or read: nothing of one opening ever meets the next."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from archiver.backends.parquet import ParquetBackend, sidecar
from archiver.backends.parquet.compaction import Merger
from archiver.backends.parquet.entry import Cell, Level, Names
from archiver.backends.parquet.index import Index
from archiver.backends.parquet.log import DeltaLog
from archiver.backends.parquet.writing import FileWriter
from archiver.model import Kind, SampleBatch, TransientError
from archiver.model.time import ALWAYS
from archiver.ports import Position
from archiver.testing.patience import SOON_S

START = 1_767_225_600_000_000_000
SECOND = 1_000_000_000


class Announced:
    """A lock that tells when somebody comes to take it."""

    def __init__(self, lock: threading.Lock, arrived: threading.Event) -> None:
        self._lock, self._arrived = lock, arrived

    def __enter__(self) -> None:
        self._arrived.set()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Halted:
    """A compaction that halts when its new files are written and not yet committed, while `meanwhile` runs."""

    def __init__(self, backend: ParquetBackend, monkeypatch: pytest.MonkeyPatch) -> None:
        self.order: list[str] = []
        self.failure: BaseException | None = None
        self._backend, self._inside, self._go = backend, threading.Event(), threading.Event()
        merge = Merger.merge

        def halting(merger, *args):
            written = merge(merger, *args)
            self._inside.set()
            assert self._go.wait(SOON_S)
            return written

        monkeypatch.setattr(Merger, "merge", halting)
        self._thread = threading.Thread(target=self._compact)
        self._thread.start()
        assert self._inside.wait(SOON_S)
        monkeypatch.setattr(Merger, "merge", merge)

    def run(self, meanwhile: Callable[[], object]) -> None:
        """Let the compaction go on when `meanwhile` waits for it, or is done without."""
        arrived = threading.Event()
        self._backend._compacting = Announced(self._backend._compacting, arrived)

        def act() -> None:
            meanwhile()
            self.order.append("meanwhile")
            arrived.set()

        thread = threading.Thread(target=act)
        thread.start()
        assert arrived.wait(SOON_S)
        self._go.set()
        thread.join()
        self._thread.join()

    def _compact(self) -> None:
        try:
            self._backend.compact()
        except TransientError as exc:
            self.failure = exc
        self.order.append("compacted")


@pytest.fixture
def unsorted(lake, samples) -> ParquetBackend:
    """Return an open backend that met its elements in another order than that of their names."""
    backend = lake(keep_removed="0s")
    backend.open()
    for number, name in enumerate(["zeta", "alpha", "mid"]):
        backend.write({"all": samples(name, 2, base=10.0 * number)}, Position("j", number))
    return backend


def test_reopening_waits_for_a_compaction_and_names_stay(unsorted, everything, monkeypatch):
    held = everything(unsorted)
    halted = Halted(unsorted, monkeypatch)
    halted.run(lambda: (unsorted.close(), unsorted.open()))
    assert halted.order == ["compacted", "meanwhile"]
    assert halted.failure is None
    assert everything(unsorted) == held
    unsorted.close()
    unsorted.open()
    assert everything(unsorted) == held
    assert [entry.level for entry in unsorted._table.index.snapshot.entries] == [Level.DAY]


@pytest.mark.parametrize("disk", ["fine", "full"])
def test_another_object_writes_only_after_the_compaction_of_the_closed_one(
    disk, lake, unsorted, samples, everything, monkeypatch
):
    held = everything(unsorted)
    halted = Halted(unsorted, monkeypatch)
    successor = lake(keep_removed="0s")
    if disk == "full":
        sync = DeltaLog._sync
        old = unsorted._table.log

        def full(log: DeltaLog, version: int) -> None:
            if log is old:
                raise OSError(errno.ENOSPC, "No space left on device")
            sync(log, version)

        monkeypatch.setattr(DeltaLog, "_sync", full)

    def succeed() -> None:
        unsorted.close()
        successor.open()
        for number in range(3):
            successor.write({"all": samples("new", 2, START + number * 10 * SECOND)}, Position("j", 3 + number))

    halted.run(succeed)
    assert halted.order == ["compacted", "meanwhile"]
    assert (halted.failure is None) == (disk == "fine")
    successor.compact()
    successor.close()
    versions = sorted(int(path.stem) for path in (successor.root / "_delta_log").glob("*.json"))
    assert versions == list(range(versions[0], versions[-1] + 1))
    last = lake()
    last.open()
    assert last.position("j") == Position("j", 5)
    assert [row for row in everything(last) if row[0] != "new"] == held
    assert len(everything(last)) == len(held) + 6


def test_what_is_closed_commits_nothing(unsorted):
    table = unsorted._table
    commits = sorted((unsorted.root / "_delta_log").iterdir())
    unsorted.close()
    with pytest.raises(TransientError, match="not open"):
        table.commit([], position=Position("j", 9))
    for write in (lambda: unsorted.write({}, Position("j", 9)), unsorted.compact):
        with pytest.raises(TransientError, match="not open"):
            write()
    assert sorted((unsorted.root / "_delta_log").iterdir()) == commits


def test_commit_of_another_writer_is_neither_passed_over_nor_taken_back(unsorted, samples, everything):
    held = everything(unsorted)
    theirs = unsorted.root / "_delta_log" / f"{unsorted._table.log._version + 1:020d}.json"
    theirs.write_text('{"txn":{"appId":"theirs","version":7}}\n{"commitInfo":{"forebay.actions":1}}\n')
    for attempt in (lambda: unsorted.write({"all": samples("new")}, Position("j", 9)), unsorted.compact):
        with pytest.raises(TransientError, match="another writer"):
            attempt()
    assert theirs.exists()
    assert len(list(unsorted.root.glob("group=*/**/*.parquet"))) == 3
    unsorted.close()
    unsorted.open()
    assert unsorted.position("theirs") == Position("theirs", 7)
    assert everything(unsorted) == held
    assert not unsorted.write({"all": samples("new")}, Position("j", 9)).repeated


READS: dict[str, Callable[[ParquetBackend], object]] = {
    "read": lambda backend: list(backend.read(["zeta"], ALWAYS)),
    "last_before": lambda backend: backend.last_before(["zeta"], 2**62),
    "elements": lambda backend: backend.elements(),
    "coverage": lambda backend: backend.coverage(),
    "segments": lambda backend: backend.segments("all"),
    "position": lambda backend: backend.position("j"),
}


@pytest.mark.parametrize("verb", READS)
def test_a_backend_that_is_not_open_answers_nothing(verb, lake, unsorted):
    unsorted.close()
    for backend in (unsorted, lake(), lake(read_only=True)):
        with pytest.raises(TransientError, match="not open"):
            READS[verb](backend)


@pytest.mark.parametrize("verb", READS)
def test_while_the_index_is_loaded_nothing_is_answered_from_half_of_it(verb, unsorted, monkeypatch):
    expected = READS[verb](unsorted)
    unsorted.close()
    inside, go, load = threading.Event(), threading.Event(), sidecar.load

    def halting(*args):
        inside.set()
        assert go.wait(SOON_S)
        return load(*args)

    monkeypatch.setattr(sidecar, "load", halting)
    thread = threading.Thread(target=unsorted.open)
    thread.start()
    try:
        assert inside.wait(SOON_S)
        with pytest.raises(TransientError, match="not open"):
            READS[verb](unsorted)
    finally:
        go.set()
        thread.join()
    assert repr(READS[verb](unsorted)) == repr(expected)


def test_sidecar_has_names_whatever_their_numbers_were(tmp_path: Path):
    first, second = Names(), Names()
    first.number(["zeta", "alpha", "mid"])
    second.number(["mid", "zeta", "other", "alpha"])
    batch = SampleBatch.from_columns(["alpha", "alpha", "mid", "zeta"], [START, START + 1, START, START], [1.0] * 4)
    cell = Cell("all", START // (86_400 * SECOND), 0, 0)
    writer = FileWriter(tmp_path, first, cell, Level.WRITE, (Kind.FLOAT,))
    writer.write(batch.sorted())
    written = writer.close()
    sidecar.save(tmp_path, written)
    (stored,) = (tmp_path / sidecar.FOLDER).iterdir()
    assert stored == sidecar.path_of(tmp_path, written.entry.path)
    for origin in ("sidecar", "data"):
        loaded = sidecar.load(tmp_path, written.entry.path, cell.partition, second)
        pieces = loaded.entry.pieces
        assert sorted(zip(second.names(pieces.ids), pieces.count.tolist(), strict=True)) == [
            ("alpha", 2),
            ("mid", 1),
            ("zeta", 1),
        ], origin
        stored.unlink(missing_ok=True)


def test_an_index_refuses_what_another_one_numbered(unsorted):
    loaded = [
        sidecar.load(unsorted.root, path, partition, Names()) for path, partition in unsorted._table.log.files.items()
    ]
    with pytest.raises(AssertionError, match="numbered by another index"):
        Index(Names()).change(loaded)
