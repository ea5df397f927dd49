"""What the inputs hold at each row, against a model that goes from row to row."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analytics.events.coding import decode, encode
from analytics.events.holding import hold, initial
from analytics.events.rows import BEFORE_ALL, Rows

INPUTS, KEYS = 3, 3
FIELDS = ("number", "text", "good", "status", "time", "previous", "previous_time")
samples = st.tuples(
    st.integers(0, KEYS - 1),
    st.integers(0, INPUTS - 1),
    st.integers(0, 5),
    st.sampled_from([0.0, 1.0, 2.5, None]),
    st.sampled_from([None, None, "open"]),
    st.booleans(),
)


def rows_of(samples):
    samples = sorted(samples, key=lambda sample: (sample[0], sample[2]))
    key, number, time, value, text, good = (
        (list(column) for column in zip(*samples, strict=True)) if samples else [[]] * 6
    )
    texts = np.empty(len(samples), object)
    texts[:] = text
    return Rows(
        key=np.array(key, np.int32),
        slot=np.array(key, np.int32) * INPUTS + np.array(number, np.int32),
        input=np.array(number, np.int16),
        time=np.array(time, np.int64),
        received=np.array(time, np.int64),
        sequence=np.zeros(len(samples), np.int32),
        number=np.array([math.nan if item is None else item for item in value], np.float64),
        text=None if all(item is None for item in text) else texts,
        good=np.array([sound and item is not None for sound, item in zip(good, value, strict=True)], bool),
        status=np.arange(len(samples), dtype=np.uint64),
    )


def told(held, place):
    texts = held.text
    plain = [getattr(held, name)[place] for name in FIELDS if name != "text"]
    return repr([*plain, None if texts is None else texts[place]])


class Model:
    def __init__(self):
        nothing = (math.nan, None, False, np.uint64(0), BEFORE_ALL)
        self.held = {(key, number): (nothing, nothing) for key in range(KEYS) for number in range(INPUTS)}

    def take(self, rows, place):
        which = int(rows.key[place]), int(rows.input[place])
        text = None if rows.text is None else rows.text[place]
        now = (rows.number[place], text, rows.good[place], rows.status[place], rows.time[place])
        self.held[which] = (now, self.held[which][0])

    def told(self, key, number):
        (value, text, good, status, time), (before, _, before_good, _, before_time) = self.held[key, number]
        before = before if before_good else math.nan
        return repr(
            [
                np.float64(value),
                np.bool_(good),
                np.uint64(status),
                np.int64(time),
                np.float64(before),
                np.int64(before_time),
                text,
            ]
        )


@given(st.lists(st.lists(samples, max_size=12), max_size=4))
def test_each_input_holds_its_latest_sample(batches):
    state, model = initial(INPUTS), Model()
    for samples in batches:
        rows = rows_of(samples)
        before = encode(state)
        after, seen = hold(state, rows, KEYS)
        assert encode(state) == before
        for place in range(len(rows)):
            model.take(rows, place)
            for number in range(INPUTS):
                assert told(seen[number], place) == model.told(int(rows.key[place]), number)
        for key in range(KEYS):
            for number in range(INPUTS):
                assert told(after[number], key) == model.told(key, number)
        state = decode(encode(after), initial(INPUTS))
