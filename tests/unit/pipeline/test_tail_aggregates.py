"""Aggregates of a whole archive: by the database up to the journal's tail, from samples where one was renamed."""

import pytest

from archiver.backends.sql import SqlBackend
from archiver.model import ArchiveGroup, Interval, Kind, SampleBatch
from archiver.pipeline.renames import RenamedReader
from archiver.pipeline.tail import TailedBackend
from archiver.ports import BackendContext
from archiver.query.execute import execute
from archiver.query.request import Query
from archiver.testing.rows import Row, batch_of

NAMES = ("a", "b", "c", "d")
WANTED = ("count", "min", "max", "first", "last")


class Tailed(TailedBackend):
    """A backend under a tail that is given."""

    def __init__(self, backend, tail):
        self._lane = type("Lane", (), {"backend": backend})
        self.name, self._given = backend.name, tail

    def _tail(self, elements, interval, groups, as_of):
        return self._given.filter(self._given.mask_interval(interval) & self._given.mask_elements(list(elements)))


def samples(times, names=NAMES):
    return batch_of([Row(name, time, 0, time, 0, Kind.FLOAT, time / 7) for name in names for time in times])


@pytest.fixture
def backend(tmp_path):
    context = BackendContext("it", tmp_path, {"g": ArchiveGroup("g", ("*",), ("it",))})
    backend = SqlBackend(context, SqlBackend.Options(url="sqlite:///s.db"))
    backend.open()
    backend.write({"g": samples(range(0, 100, 3))})
    yield backend
    backend.close()


class Plain:
    """The reading verbs alone."""

    def __init__(self, reader):
        self.read, self.last_before, self.elements = reader.read, reader.last_before, reader.elements
        self.coverage = reader.coverage


def answer(reader, bucket=10):
    query = Query(NAMES, Interval(5, 120), backend="it", aggregates=WANTED, bucket_ns=bucket)
    found = execute(query, {"it": reader}, now=1000)
    return found.table(), {part.aggregated for part in found.parts if part.rows}


@pytest.mark.parametrize(
    ("tail", "how"),
    [
        (SampleBatch.empty(), {True}),
        (samples((101, 104), ("b",)), {True, False}),
        (samples((62,), ("b", "c")), {True, False}),
        (samples((7,), ("a",)), {False}),
    ],
)
def test_the_tail_is_read_and_what_lies_before_it_is_made_by_the_database(backend, tail, how):
    reader = Tailed(backend, tail)
    pushed, made = answer(reader)
    assert pushed.equals(answer(Plain(reader))[0])
    assert made == how
    assert answer(reader, 0)[0].equals(answer(Plain(reader), 0)[0])


@pytest.mark.parametrize("renamed", [(), ("a",), ("d",), ("b", "c"), NAMES])
def test_renamed_elements_are_read_under_all_their_names(backend, renamed):
    backend.write({"g": samples((11, 12), [f"old {name}" for name in renamed])})
    reader = RenamedReader(
        Tailed(backend, SampleBatch.empty()), lambda name: [f"old {name}", name] if name in renamed else [name]
    )
    pushed, made = answer(reader)
    assert pushed.equals(answer(Plain(reader))[0])
    assert made == ({False} if renamed == NAMES else {True, False} if renamed else {True})
