"""The state of a smoother: held samples, copies, dumps, seeds."""

import pyarrow as pa
import pytest

from archiver.model import InvalidInputError, Kind, SampleBatch, Smoothing, SmoothingKind
from archiver.smoothing import Smoother

VALUE = Smoothing(SmoothingKind.VALUE, 1.0)
DOOR = Smoothing(SmoothingKind.SWINGING_DOOR, 1.0)


def sample(element, time, value, **columns):
    return SampleBatch.from_columns([element], [time], [value], **columns)


def kept(smoother, element, time, value):
    return smoother.apply(sample(element, time, value)).stored.num_rows == 1


def test_held_samples_come_back_as_they_were_received():
    smoother = Smoother(DOOR)
    values = {
        Kind.FLOAT: pa.array([0.0, None, None, 0.25, None, None]),
        Kind.INT: pa.array([None, 0, None, None, -(2**63), None]),
        Kind.UINT: pa.array([None, None, 0, None, None, 2**64 - 1], pa.uint64()),
    }
    batch = SampleBatch.from_columns(
        ["a", "b", "c"] * 2,
        [0, 0, 0, -5 + 10, 7, 8],
        values,
        status=2**63,
        receive_time=range(6),
        sequence=[0] * 5 + [3],
    )
    assert smoother.apply(batch).stored == batch.slice(0, 3)
    assert smoother.held() == batch.slice(3)
    jump = sample("b", 9, 2**63 - 1, status=[2**63])
    assert smoother.apply(jump).stored == batch.slice(4, 1)
    assert smoother.held().elements.count("b") == 1


def test_a_copy_goes_its_own_way():
    smoother = Smoother(DOOR)
    smoother.apply(SampleBatch.from_columns(["a", "b", "a", "b"], [0, 0, 1, 1], [0.0, 0.0, 1.0, 1.0]))
    before, whole, part = smoother.dump(), smoother.copy(), smoother.copy(["b", "unheard of"])
    assert (whole.dump(), part.held().present()) == (before, ["b"])
    for other in (whole, part):
        other.apply(SampleBatch.from_columns(["b", "c"], [2, 2], [50.0, 1.0]))
    assert smoother.dump() == before
    assert whole.dump() != before


def test_a_dump_is_taken_up_where_it_was_left():
    smoother = Smoother(VALUE)
    smoother.apply(
        SampleBatch.from_columns(
            ["a", "t"], [0, 0], {Kind.FLOAT: pa.array([1.0, None]), Kind.TEXT: pa.array([None, "x"])}
        )
    )
    again = Smoother.load(VALUE, smoother.dump())
    assert not kept(again, "a", 1, 2.0)
    assert kept(again, "a", 2, 2.5)
    assert kept(again, "new", 2, 2.5)


@pytest.mark.parametrize("rule", [VALUE, Smoothing(), Smoothing(SmoothingKind.SWINGING_DOOR, 0.5)])
def test_what_another_smoothing_held_is_stored(rule):
    old = Smoother(DOOR)
    first = SampleBatch.from_columns("a", [0, 1], [0.0, 0.25])
    old.apply(first)
    smoother = Smoother.load(rule, old.dump())
    smoother = Smoother.load(rule, smoother.dump())  # a restart before any sample came
    assert smoother.held() == first.slice(1)
    assert smoother.apply(SampleBatch.empty()).stored == first.slice(1)
    assert smoother.held().num_rows == 0
    assert smoother.apply(SampleBatch.empty()).stored.num_rows == 0


def test_the_released_sample_is_the_reference_from_then_on():
    old = Smoother(DOOR)
    old.apply(SampleBatch.from_columns("a", [0, 1], [0.0, 0.75]))
    smoother = Smoother.load(VALUE, old.dump())
    result = smoother.apply(sample("a", 2, 1.5))
    assert (result.stored.source_time.tolist(), result.discarded.source_time.tolist()) == ([1], [2])


def test_seeding_takes_the_newest_sample_of_each_element():
    smoother = Smoother(VALUE)
    smoother.apply(SampleBatch.from_columns(["a", "b"], [100, 0], [50.0, 50.0]))
    smoother.seed(
        SampleBatch.from_columns(["a", "a", "a", "n"], [5, 9, 9, 0], [1.0, 2.0, 3.0, 7.0], sequence=[0, 0, 1, 0])
    )
    assert not kept(smoother, "a", 10, 4.0)
    assert not kept(smoother, "n", 1, 8.0)
    assert not kept(smoother, "b", 1, 50.5)
    assert kept(smoother, "a", 11, 4.5)


def test_seeding_in_place_of_a_held_sample():
    smoother = Smoother(DOOR)
    smoother.apply(SampleBatch.from_columns("a", [0, 1], [0.0, 0.25]))
    smoother.seed(sample("a", 5, 10.0))
    assert smoother.held().num_rows == 0
    assert smoother.apply(sample("a", 6, 99.0)).stored.num_rows == 0
    assert smoother.held() == sample("a", 6, 99.0)


def test_a_dictionary_may_hold_names_that_are_not_used_or_used_twice():
    names = pa.DictionaryArray.from_arrays(pa.array([1, 3, 1], pa.int32()), pa.array(["unused", "a", "b", "a"]))
    smoother = Smoother(VALUE)
    result = smoother.apply(SampleBatch.from_columns(names, [0, 1, 2], [0.0, 0.5, 3.0]))
    assert result.stored.source_time.tolist() == [0, 2]
    assert smoother.dump() != Smoother(VALUE).dump()
    assert Smoother(VALUE).held().num_rows == 0


def test_bytes_that_are_no_state_are_refused():
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("x", pa.int64())])):
        pass
    for data in (b"", b"nonsense", sink.getvalue().to_pybytes()):
        with pytest.raises(InvalidInputError, match="seed it from the backend"):
            Smoother.load(VALUE, data)


def test_many_elements_over_many_batches():
    smoother = Smoother(VALUE)
    for start in range(0, 2000, 100):
        names = [f"e{i}" for i in range(start, start + 100)]
        assert smoother.apply(SampleBatch.from_columns(names, range(100), [0.0] * 100)).stored.num_rows == 100
    names = [f"e{i}" for i in range(2000)]
    assert smoother.apply(SampleBatch.from_columns(names, range(200, 2200), [0.5] * 2000)).stored.num_rows == 0
