"""The intake refuses what cannot be, says why, and takes everything else."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np
import pytest

from archiver.journal.file import FileJournal, FileOptions
from archiver.model import ArchiveGroup, BackpressureError, Kind, Metadata, SampleBatch
from archiver.model.time import DAY_NS, NANOSECONDS, now
from archiver.pipeline import intake
from archiver.pipeline.admission import Admission
from archiver.pipeline.catalog import Catalog
from archiver.pipeline.intake import Intake
from archiver.pipeline.latest import Latest
from archiver.pipeline.ledger import decode
from archiver.pipeline.routing import Router
from archiver.pipeline.store import Store
from archiver.testing.patience import SOON_S

NOW = now()
GROUPS = {
    "short": ArchiveGroup("short", ("S:*",), ("lake",), retention_ns=DAY_NS),
    "closed": ArchiveGroup("closed", ("C:*",), ("lake",), known_only=True),
    "rest": ArchiveGroup("rest", ("T:*", "T2"), ("lake",)),
}


class Bench:
    def __init__(self, directory: Path) -> None:
        self.store = Store(directory / "archive.db")
        self.catalog = Catalog(self.store)
        self.journal = FileJournal(directory, FileOptions())
        self.journal.open()
        self.latest = Latest()
        self.router = Router(GROUPS)
        self.intake = Intake(
            self.journal, self.catalog, lambda: self.router, self.latest, 60 * NANOSECONDS, clock=lambda: NOW
        )

    def submit(self, batch: SampleBatch, **more):
        return self.intake.submit(batch, **more).result(SOON_S)

    def journalled(self) -> SampleBatch:
        return SampleBatch.concat([entry.batch for entry in self.journal.read(0, 10**9)])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.journal.close()
    bench.store.close()


def test_a_good_batch_is_buffered_with_the_receive_time_of_the_intake(bench: Bench):
    receipt = bench.submit(SampleBatch.from_columns("T:1", [NOW, NOW + 1], [1.0, 2.0], receive_time=5))
    assert receipt.counts == {"buffered": 2, "rejected": 0}
    assert bench.journalled().receive_time.tolist() == [NOW, NOW]


def test_receive_times_grow_even_when_the_clock_stands_still(bench: Bench):
    for value in (1.0, 2.0, 3.0):
        bench.submit(SampleBatch.from_columns("T:1", [NOW], [value]))
    assert bench.journalled().receive_time.tolist() == [NOW, NOW + 1, NOW + 2]


@pytest.mark.parametrize(
    ("element", "offset", "reason"),
    [
        ("T:1", 61 * NANOSECONDS, "too far in the future"),
        ("S:1", -2 * DAY_NS, "older than the retention"),
        ("X:1", 0, "no archive group takes it"),
        ("C:1", 0, "unknown element"),
        ("", 0, "bad element name"),
        ("T:\x00", 0, "bad element name"),
        ("T:" + "x" * 2000, 0, "bad element name"),
    ],
)
def test_a_bad_sample_is_rejected_and_its_neighbours_are_not(bench: Bench, element: str, offset: int, reason: str):
    receipt = bench.submit(SampleBatch.from_columns(["T:1", element, "T2"], [NOW, NOW + offset, NOW], [1.0, 2.0, 3.0]))
    assert receipt.counts == {"buffered": 2, "rejected": 1}
    assert [key for key in receipt.reasons if key.startswith(reason)]
    assert [(r.row, r.element) for r in receipt.rejections] == [(1, element)]
    assert bench.journalled().present() == ["T:1", "T2"]
    ((_, account),) = bench.journal.accounts(0)
    row = decode(account).to_pylist()[0]
    assert (row["element"], row["outcome"], row["count"], row["first"]) == (element, "rejected", 1, NOW + offset)


def test_a_described_element_is_taken_by_a_closed_group(bench: Bench):
    bench.catalog.describe("C:1", Metadata(kind=Kind.FLOAT, unit="mA"))
    assert bench.submit(SampleBatch.from_columns("C:1", [NOW], [1.0])).counts["buffered"] == 1


def test_values_are_cast_to_the_elements_type_where_nothing_is_lost(bench: Bench):
    bench.submit(SampleBatch.from_columns("T:1", [NOW], [1.5]))
    receipt = bench.submit(SampleBatch.from_columns("T:1", [NOW + 1, NOW + 2], [2, 2**53 + 1]))
    assert receipt.counts == {"buffered": 1, "rejected": 1}
    assert bench.journalled().values(Kind.FLOAT).to_pylist() == [1.5, 2.0]
    assert bench.journalled().kinds == (Kind.FLOAT,)


def test_a_whole_float_goes_into_an_integer_element_and_a_broken_one_does_not(bench: Bench):
    bench.submit(SampleBatch.from_columns("T:1", [NOW], [1], kind=Kind.INT))
    receipt = bench.submit(SampleBatch.from_columns("T:1", [NOW + 1, NOW + 2, NOW + 3], [2.0, 2.5, float("nan")]))
    assert receipt.counts == {"buffered": 1, "rejected": 2}
    assert bench.journalled().values(Kind.INT).to_pylist() == [1, 2]


def test_a_negative_zero_goes_into_no_integer_element(bench: Bench):
    bench.submit(SampleBatch.from_columns("T:1", [NOW], [1], kind=Kind.INT))
    receipt = bench.submit(SampleBatch.from_columns("T:1", [NOW + 1, NOW + 2], [0.0, -0.0]))
    assert receipt.counts == {"buffered": 1, "rejected": 1}
    assert [(r.row, "the value would change" in r.reason) for r in receipt.rejections] == [(1, True)]
    assert bench.journalled().values(Kind.INT).to_pylist() == [1, 0]


def test_text_for_a_number_is_rejected_by_type(bench: Bench):
    bench.submit(SampleBatch.from_columns("T:1", [NOW], [1.5]))
    receipt = bench.submit(SampleBatch.from_columns(["T:1", "T2"], [NOW + 1, NOW + 1], ["on", "off"]))
    assert receipt.reasons == {"wrong type: text for an element of type float": 1}
    assert bench.catalog.get("T2").metadata.kind is Kind.TEXT


def test_no_value_fits_every_type_and_decides_none(bench: Bench):
    bench.submit(SampleBatch.from_columns("T:1", [NOW], [None]))
    assert bench.catalog.get("T:1").metadata.kind is Kind.NONE
    bench.submit(SampleBatch.from_columns("T:1", [NOW + 1, NOW + 2], [True, None]))
    assert bench.catalog.get("T:1").metadata.kind is Kind.BOOL
    assert bench.journalled().num_rows == 3


def test_different_samples_of_one_instant_are_numbered(bench: Bench):
    bench.submit(SampleBatch.from_columns("T:1", [NOW, NOW, NOW], [1.0, 2.0, 1.0]))
    assert bench.journalled().sequence.tolist() == [0, 1, 0]


def test_what_the_door_refused_is_accounted_for(bench: Bench):
    receipt = bench.submit(SampleBatch.empty(), refused={"line does not parse": 3})
    assert receipt.counts == {"buffered": 0, "rejected": 3}
    ((_, account),) = bench.journal.accounts(0)
    assert decode(account)["count"].to_pylist() == [3]


def test_a_full_journal_takes_nothing_and_says_when_to_come_back(bench: Bench):
    bench.journal.options = FileOptions(max_bytes=10)
    with pytest.raises(BackpressureError, match="journal is full") as error:
        bench.submit(SampleBatch.from_columns("T:1", [NOW], [1.0]))
    assert error.value.retry_after_s > 0
    assert bench.journalled().num_rows == 0


def test_the_latest_value_is_there_when_the_receipt_is(bench: Bench):
    bench.submit(SampleBatch.from_columns(["T:1", "T2", "T:1"], [NOW, NOW, NOW + 1], [1.0, 2.0, 3.0]))
    bench.submit(SampleBatch.from_columns("T:1", [NOW - 5], [0.0]))
    rows = bench.latest.get(["T:1", "T2", "T:9"])
    assert [(row[0], row[1], row[-1]) for row in rows.to_pylist()] == [("T2", NOW, 2.0), ("T:1", NOW + 1, 3.0)]


def test_a_large_batch_of_many_elements(bench: Bench):
    n = 100_000
    names = [f"T:{i}" for i in range(1000)]
    codes = np.tile(np.arange(1000), n // 1000)
    batch = SampleBatch.from_columns([names[i] for i in codes], NOW - np.arange(n), np.arange(n, dtype=float))
    assert bench.submit(batch).counts["buffered"] == n
    assert bench.latest.get().num_rows == 1000


@pytest.mark.parametrize(
    ("known", "given", "sent", "stored"),
    [
        (Kind.FLOATS, Kind.INTS, [[1, 2], [2**53 + 1], [], [3]], [[1.0, 2.0], [], [3.0]]),
        (Kind.INTS, Kind.FLOATS, [[1.0, 2.0], [1.5], [], [3.0]], [[1, 2], [], [3]]),
    ],
)
def test_lists_are_cast_as_their_items_are(bench: Bench, known: Kind, given: Kind, sent: list, stored: list):
    bench.submit(SampleBatch.from_columns("T:1", [NOW], [[7]], kind=known))
    receipt = bench.submit(SampleBatch.from_columns("T:1", [NOW + 1 + i for i in range(len(sent))], sent, kind=given))
    assert receipt.counts == {"buffered": 3, "rejected": 1}
    assert [rejection.row for rejection in receipt.rejections] == [1]
    assert bench.journalled().kinds == (known,)
    assert bench.journalled().values(known).to_pylist() == [[7], *stored]


def test_a_receipt_ends_even_when_the_latest_values_cannot_be_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    def fails(_batch: SampleBatch, _offset: int) -> None:
        raise MemoryError("as the test asked for")

    monkeypatch.setattr(bench.latest, "update", fails)
    with pytest.raises(MemoryError, match="as the test asked for"):
        bench.submit(SampleBatch.from_columns("T:1", [NOW], [1.0]))
    assert bench.journalled().num_rows == 1


def test_of_two_threads_that_see_an_element_first_one_decides_its_type(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """Both have found it unknown before either registers it; the later one goes by what the earlier one said."""
    register = Admission.register
    first_done, both_there = threading.Event(), threading.Barrier(2)

    def forced(self: Admission, kinds: Mapping[str, Kind]) -> None:
        both_there.wait(SOON_S)
        if kinds["T:1"] is Kind.FLOAT:
            assert first_done.wait(SOON_S)
        register(self, kinds)
        first_done.set()

    with monkeypatch.context() as patch, ThreadPoolExecutor(2) as threads:
        patch.setattr(Admission, "register", forced)
        batches = [SampleBatch.from_columns("T:1", [NOW], [value]) for value in ("text", 1.5)]
        receipts = list(threads.map(bench.submit, batches))
    assert bench.catalog.get("T:1").metadata.kind is Kind.TEXT
    assert [receipt.counts["buffered"] for receipt in receipts] == [1, 0]
    assert bench.submit(SampleBatch.from_columns("T:1", [NOW + 1], ["more"])).counts["buffered"] == 1
    assert bench.submit(SampleBatch.from_columns("T:1", [NOW + 2], [2.5])).counts["rejected"] == 1


def test_a_rename_while_a_batch_is_checked_revives_no_name(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    bench.submit(SampleBatch.from_columns("T2", [NOW], [0.0]))
    bench.catalog.describe("T:1", Metadata())
    canonical = bench.catalog.canonical

    def renamed_afterwards(batch: SampleBatch) -> SampleBatch:
        result = canonical(batch)
        monkeypatch.setattr(bench.catalog, "canonical", canonical)
        bench.catalog.describe("T:1", Metadata(), rename="T:2")
        return result

    monkeypatch.setattr(bench.catalog, "canonical", renamed_afterwards)
    bench.submit(SampleBatch.from_columns("T:1", [NOW], [1.0]))
    assert [(version.name, version.metadata.kind) for version in bench.catalog.elements()] == [
        ("T2", Kind.FLOAT),
        ("T:2", Kind.FLOAT),
    ]
    assert bench.catalog.aliases() == {"T:1": "T:2"}
    assert bench.journalled().present() == ["T2", "T:2"]


def test_a_batch_is_judged_by_the_router_that_is_in_force_when_it_is_appended(bench: Bench):
    other = Router({"other": ArchiveGroup("other", ("X:*",), ("lake",))})

    def exchanged_meanwhile() -> int:
        bench.router = other
        return NOW

    bench.intake = Intake(
        bench.journal, bench.catalog, lambda: bench.router, bench.latest, NANOSECONDS, clock=exchanged_meanwhile
    )
    receipt = bench.submit(SampleBatch.from_columns(["T:1", "X:1"], [NOW, NOW], [1.0, 2.0]), refused={"no line": 3})
    assert receipt.counts == {"buffered": 1, "rejected": 4}
    assert receipt.reasons == {"no archive group takes it": 1, "no line": 3}
    assert bench.journalled().present() == ["X:1"]


def test_a_paused_intake_has_all_that_it_took_in_the_journal(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """Even when the newest batch was turned away and an older one is yet to be committed."""
    go_on, commit = threading.Event(), FileJournal._write

    def held(*given) -> None:
        assert go_on.wait(SOON_S)
        commit(*given)

    with monkeypatch.context() as patch:
        patch.setattr(FileJournal, "_write", held)
        taken = bench.intake.submit(SampleBatch.from_columns("T:1", [NOW], [1.0]))
        bench.journal.options = FileOptions(max_bytes=10)
        turned_away = bench.intake.submit(SampleBatch.from_columns("T:1", [NOW], [2.0]))
        assert isinstance(turned_away.exception(SOON_S), BackpressureError)
        patch.setattr(intake, "wait", lambda futures: (go_on.set(), wait(futures, SOON_S)))
        with bench.intake.paused():
            assert bench.journal.state().last == 1
    assert taken.result(SOON_S).offset == 1
