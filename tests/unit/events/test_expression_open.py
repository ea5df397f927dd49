"""What is not chosen yet: a condition is decided only where it is the same whatever will be chosen."""

import pytest

from analytics.events.expressions import Columns, Expression, Input, Shape, Wanted
from archiver.model import SampleBatch


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("a > 5.0", 0),
        ("a.good", 0),
        ("!a.good", 0),
        ("has(a.value)", 0),
        ("!has(a.previous)", 0),
        ("a.time < value.time", 0),
        ("a.status == 0u", 0),
        ("value > 5.0 && a.good", 0),
        ("value < 5.0 && a.good", -1),
        ("value > 5.0 || has(a.value)", 1),
        ("value < 5.0 || !has(a.value)", 0),
        ("value > a", 0),
    ],
)
def test_it_is_unknown_unless_it_does_not_matter(text, truth):
    batch = SampleBatch.from_columns("x", [3], [6.0])
    columns = Columns(1, {"value": Input.of(batch), "a": Input.open(1)}, batch.source_time)
    condition = Expression.parse(text, {"value": Shape.NUMBER, "a": Shape.NUMBER}, Wanted.CONDITION)
    assert condition.truth(columns).tolist() == [truth]
