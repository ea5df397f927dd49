"""What a read gives: which samples, and in which order."""

from __future__ import annotations

import threading
from itertools import islice

import pytest

from archiver.model import Interval, SampleBatch
from archiver.model.time import ALWAYS, DAY_NS, MIN_TIME
from archiver.ports import Backend, Position
from archiver.testing.backend_suite.base import BackendSuite, batch, exact, read, sample
from archiver.testing.rows import rows_of
from archiver.testing.strategies import LAST_TIME


class ReadContract(BackendSuite):
    """Selection, bounds and order."""

    def test_order(self, backend: Backend) -> None:
        """Element by code points, then time, then sequence, whatever the order of writes or of the question."""
        names = ["b", "B", "a b", "a", "Z", "ä", "é", "\uffff", "\U0001f321", "10", "9", "_", "-"]
        rows = [
            sample(time, element=name, sequence=sequence, received=time)
            for time in (3 * DAY_NS, 1, DAY_NS)
            for name in names
            for sequence in (1, 0)
        ]
        for start in range(0, len(rows), 7):
            backend.write({"g1": batch(*rows[start : start + 7])})
        assert read(backend, *names) == exact(rows)
        assert read(backend, *reversed(names)) == exact(rows)
        assert backend.elements() == sorted(names)

    def test_batches_are_never_empty(self, backend: Backend) -> None:
        """A reader may take the first row of what it gets."""
        backend.write({"g1": batch(*(sample(day * DAY_NS, element=name) for name in "abc" for day in range(3)))})
        found = list(backend.read(["a", "c", "nothing"], Interval(0, 2 * DAY_NS)))
        assert all(part.num_rows for part in found)
        assert [row[:2] for row in rows_of(*found)] == [(name, day * DAY_NS) for name in "ac" for day in range(2)]

    def test_bounds_are_half_open(self, backend: Backend) -> None:
        """The start belongs to the interval, the end does not."""
        edges = (-1, 0, 1, DAY_NS - 1, DAY_NS, DAY_NS + 1)
        backend.write({"g1": batch(*(sample(time) for time in edges))})
        for start in edges:
            for end in (time for time in edges if time >= start):
                found = [row.source_time for row in read(backend, interval=Interval(start, end))]
                assert found == [time for time in edges if start <= time < end]

    def test_all_of_time(self, backend: Backend) -> None:
        """The whole of int64 is an interval, and its ends are instants."""
        step = backend.limits.resolution_ns
        times = [MIN_TIME, 0, LAST_TIME] if step == 1 else [0]
        backend.write({"g1": batch(*(sample(time) for time in times))})
        assert [row.source_time for row in read(backend, interval=ALWAYS)] == times
        assert read(backend, interval=Interval(MIN_TIME, MIN_TIME)) == []
        assert backend.last_before(["a"], MIN_TIME).num_rows == 0

    def test_nothing(self, backend: Backend) -> None:
        """No elements, unknown elements and empty intervals are answered with nothing, also when nothing is there."""
        for _ in range(2):
            assert list(backend.read([], ALWAYS)) == []
            assert list(backend.read(["unknown", "", "%", "*"], ALWAYS)) == []
            assert list(backend.read(["a"], Interval(5, 5))) == []
            assert list(backend.read(["a"], Interval(6, 9))) == []
            assert list(backend.read(["a"], ALWAYS, groups=[])) == []
            assert list(backend.read(["a"], ALWAYS, groups=["unknown"])) == []
            assert backend.last_before([], 9).num_rows == 0
            assert backend.last_before(["unknown"], 9).num_rows == 0
            backend.write({"g1": batch(sample(5))})

    def test_a_name_given_twice(self, backend: Backend) -> None:
        """Gives its samples once."""
        backend.write({"g1": batch(sample(1), sample(2, element="b"))})
        assert read(backend, "a", "b", "a") == exact([sample(1), sample(2, element="b")])
        assert rows_of(backend.last_before(["a", "a"], 9)) == exact([sample(1)])

    def test_groups(self, backend: Backend) -> None:
        """A sample that two groups hold is given once; a choice of groups gives what those hold."""
        both, first, second = sample(1), sample(2, 2.0), sample(3, 3.0)
        backend.write({"g1": batch(both, first), "g2": batch(both, second)})
        assert read(backend) == exact([both, first, second])
        assert read(backend, groups=["g1"]) == exact([both, first])
        assert read(backend, groups=["g2"]) == exact([both, second])
        assert read(backend, groups=["g2", "g1", "g2"]) == exact([both, first, second])
        assert rows_of(backend.last_before(["a"], 9, groups=["g1"])) == exact([first])
        assert rows_of(backend.last_before(["a"], 9)) == exact([second])

    def test_several_readers_at_once(self, backend: Backend) -> None:
        """Reads that are half done do not disturb each other, nor a write, nor being dropped."""
        rows = [sample(day * DAY_NS + i, element=name) for name in "ab" for day in range(3) for i in range(4)]
        backend.write({"g1": batch(*rows)})
        one, two, dropped = (backend.read(["a", "b"], ALWAYS) for _ in range(3))
        parts_one, parts_two = list(islice(one, 1)), list(islice(two, 1))
        next(dropped)
        del dropped
        backend.write({"g1": batch(sample(10 * DAY_NS, element="c"))})
        assert rows_of(*parts_one, *one) == exact(rows)
        assert rows_of(*parts_two, *two) == exact(rows)

    def test_many_elements(self, backend: Backend) -> None:
        """More names than a statement takes parameters."""
        names = [f"unit{number:05}.temperature" for number in range(40_000)]
        stored = SampleBatch.from_columns(names, list(range(40_000)), [0.5] * 40_000, receive_time=1)
        backend.write({"g1": stored})
        assert backend.elements() == names
        everything = SampleBatch.concat(list(backend.read(names[::-1], ALWAYS)))
        assert everything.source_time.tolist() == list(range(40_000))
        last = backend.last_before(names, 35_000)
        assert last.num_rows == 35_000
        assert [last.elements[code] for code in last.codes[:3]] == names[:3]


class LastBeforeContract(BackendSuite):
    """The value that an element had when an interval began."""

    def test_strictly_before(self, backend: Backend) -> None:
        """A sample at the instant itself is not before it."""
        backend.write({"g1": batch(sample(10, 1.0), sample(20, 2.0))})
        found = {time: [row.source_time for row in rows_of(backend.last_before(["a"], time))] for time in (10, 11, 20)}
        assert found == {10: [], 11: [10], 20: [10]}
        assert rows_of(backend.last_before(["a"], 21)) == exact([sample(20, 2.0)])

    def test_one_per_element_in_order(self, backend: Backend) -> None:
        """Each has its own last sample, near or far; an element without one is left out."""
        rows = [sample(day * DAY_NS, element=name) for name, day in (("c", 1), ("a", 800), ("B", 2), ("late", 900))]
        older = [row._replace(source_time=row.source_time - DAY_NS) for row in rows[:3]]
        for row in (*older, *rows):
            backend.write({"g1": batch(row)})
        found = backend.last_before(["late", "c", "nothing", "a", "B"], 850 * DAY_NS)
        assert rows_of(found) == exact(rows[:3])

    def test_the_last_of_one_instant(self, backend: Backend) -> None:
        """The greatest sequence counts, in its valid version."""
        rows = [sample(5, float(i), sequence=i) for i in range(3)]
        backend.write({"g1": batch(*rows)})
        corrected = sample(5, 9.0, sequence=2, received=2)
        backend.write({"g1": batch(corrected)})
        assert rows_of(backend.last_before(["a"], 6)) == exact([corrected])

    def test_no_value_is_an_answer(self, backend: Backend) -> None:
        """A sample that says that there is no value hides the value before it."""
        gone = sample(6, None, status=1 << 56)
        backend.write({"g1": batch(sample(5), gone)})
        assert rows_of(backend.last_before(["a"], 7)) == exact([gone])


class InventoryContract(BackendSuite):
    """Which elements and times are here."""

    def test_empty(self, backend: Backend) -> None:
        """A new backend holds nothing."""
        assert backend.elements() == []
        assert backend.coverage() == []

    def test_coverage(self, backend: Backend) -> None:
        """First time, last time and samples, versions counted, of each group that has any."""
        backend.write({"g2": batch(sample(5), sample(-7, element="b"))})
        backend.write({"g1": batch(sample(8), sample(9)), "g2": batch(sample(5, 2.0, received=2), sample(5))})
        found = {c.group: (c.first, c.last, c.rows) for c in backend.coverage()}
        assert found == {"g1": (8, 9, 2), "g2": (-7, 5, 3)}
        assert len(backend.coverage()) == 2
        assert backend.elements() == ["a", "b"]


class ConcurrencyContract(BackendSuite):
    """One writer and several readers at the same time."""

    @pytest.mark.parametrize("readers", [3])
    def test_a_reader_never_sees_half_a_write(self, backend: Backend, readers: int) -> None:
        """Writes of a hundred samples each: a reader sees whole hundreds, and never fewer than before."""
        done = threading.Event()
        problems: list[object] = []

        def watch() -> None:
            before = 0
            while not problems:
                last_look = done.is_set()
                try:
                    count = sum(part.num_rows for part in backend.read(["a", "b"], ALWAYS))
                except Exception as exc:  # noqa: BLE001 - whatever it is, the test reports it
                    problems.append(exc)
                    return
                if count % 100 or count < before:
                    problems.append(f"{count} samples after {before}")
                before = count
                if last_look:
                    if count != 2000:
                        problems.append(f"{count} samples at the end")
                    return

        threads = [threading.Thread(target=watch) for _ in range(readers)]
        for thread in threads:
            thread.start()
        try:
            for number in range(20):
                rows = [sample(number * DAY_NS + i, element="ab"[i % 2]) for i in range(100)]
                backend.write({"g1": batch(*rows), "g2": batch(*rows[:50])}, Position("journal", number))
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert problems == []
