"""Batches in which the times of each element ascend: where its last sample is."""

from hypothesis import given
from hypothesis import strategies as st

from archiver.model import SampleBatch
from archiver.model.identity import last_of_ascending, number_equals
from archiver.pipeline.latest import versions_of_last


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), max_size=12))
def test_it_is_found_just_when_no_time_comes_again_or_goes_back(rows):
    batch = SampleBatch.from_columns([name for name, _ in rows], [time for _, time in rows], [0.0] * len(rows))
    last = last_of_ascending(batch)
    times = {name: [time for other, time in rows if other == name] for name, _ in rows}
    assert (last is not None) == all(t == sorted(set(t)) for t in times.values())
    if last is not None:
        assert number_equals(batch) is batch
        assert batch.take(last).sorted() == versions_of_last(batch).sorted()
