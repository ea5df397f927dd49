"""Late samples and corrections: kept as versions, and readable as known at a time."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest

from archiver.model import Kind
from archiver.ports import Backend
from archiver.testing.backend_suite.base import BackendSuite, batch, exact, floats, read, sample
from archiver.testing.rows import Row, rows_of
from archiver.testing.strategies import PAYLOAD_NAN

CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "value": ({"value": 1.0}, {"value": 2.0}),
    "status": ({"status": 0}, {"status": 1 << 63}),
    "sign of zero": ({"value": 0.0}, {"value": -0.0}),
    "payload of NaN": ({"value": math.nan}, {"value": PAYLOAD_NAN}),
    "to no value": ({"value": 1.0}, {"value": None, "kind": Kind.NONE}),
    "from no value": ({"value": None, "kind": Kind.NONE}, {"value": 0.0}),
    "kind": ({"value": 1.0}, {"value": 1, "kind": Kind.INT}),
    "empty text": ({"value": None, "kind": Kind.NONE}, {"value": "", "kind": Kind.TEXT}),
    "case": ({"value": "a", "kind": Kind.TEXT}, {"value": "A", "kind": Kind.TEXT}),
    "trailing space": ({"value": "a", "kind": Kind.TEXT}, {"value": "a ", "kind": Kind.TEXT}),
    "normalisation": ({"value": "caf\u00e9", "kind": Kind.TEXT}, {"value": "cafe\u0301", "kind": Kind.TEXT}),
    "item": ({"value": [1.0, 0.0], "kind": Kind.FLOATS}, {"value": [1.0, -0.0], "kind": Kind.FLOATS}),
    "empty array": ({"value": [], "kind": Kind.FLOATS}, {"value": [], "kind": Kind.INTS}),
    "last bit": ({"value": 2**63 - 1, "kind": Kind.INT}, {"value": 2**63 - 2, "kind": Kind.INT}),
}


class VersionsContract(BackendSuite):
    """A sample that differs from the stored one of its identity is a new version."""

    @pytest.mark.parametrize("change", list(CHANGES))
    def test_a_correction(self, backend: Backend, change: str) -> None:
        """The newest is valid, the old one stays readable, and either sent again is a duplicate."""
        old, new = (sample(5, **{"value": 1.0, **fields}) for fields in CHANGES[change])
        new = new._replace(receive_time=2)
        for row in (old, new):
            assert backend.write({"g1": batch(row)}).duplicates == 0
        assert read(backend) == exact([new])
        assert read(backend, versions=True) == exact([old, new])
        assert read(backend, as_of=1) == exact([old])
        again = batch(old._replace(receive_time=3), new._replace(receive_time=3))
        assert backend.write({"g1": again}).duplicates == 2
        assert read(backend) == exact([new])

    def test_as_of(self, backend: Backend) -> None:
        """What was received until then, inclusive, with the versions valid then."""
        rows = [
            sample(1, 1.0, received=10),
            sample(1, 2.0, received=20),
            sample(1, 3.0, received=30),
            sample(2, 4.0, received=20),
        ]
        for row in rows:
            backend.write({"g1": batch(row)})
        for as_of, expected in {9: [], 10: [1.0], 19: [1.0], 20: [2.0, 4.0], 29: [2.0, 4.0], 30: [3.0, 4.0]}.items():
            assert floats(read(backend, "a", as_of=as_of)) == expected
        assert read(backend, versions=True, as_of=20) == exact([rows[0], rows[1], rows[3]])

    def test_last_before_as_of(self, backend: Backend) -> None:
        """The last sample that was known then, in the version valid then."""
        for row in (sample(1, 1.0, received=10), sample(1, 2.0, received=20), sample(2, 3.0, received=30)):
            backend.write({"g1": batch(row)})
        found = {t: floats(rows_of(backend.last_before(["a"], 100, as_of=t))) for t in (9, 10, 20, 30)}
        assert found == {9: [], 10: [1.0], 20: [2.0], 30: [3.0]}
        assert floats(rows_of(backend.last_before(["a"], 2))) == [2.0]

    def test_versions_within_one_batch(self, backend: Backend) -> None:
        """A batch read back from elsewhere carries versions with receive times of their own."""
        rows = [sample(1, 3.0, received=30), sample(1, 1.0, received=10), sample(1, 2.0, received=20)]
        backend.write({"g1": batch(*rows)})
        assert floats(read(backend, versions=True)) == [1.0, 2.0, 3.0]
        assert floats(read(backend)) == [3.0]

    def test_an_older_version_that_arrives_later(self, backend: Backend) -> None:
        """The receive time decides, not the order of writes: a back-fill brings back what was corrected since."""
        backend.write({"g1": batch(sample(1, 2.0, received=20))})
        assert backend.write({"g1": batch(sample(1, 1.0, received=10))}).duplicates == 0
        assert floats(read(backend)) == [2.0]
        assert floats(read(backend, as_of=15)) == [1.0]
        assert floats(rows_of(backend.last_before(["a"], 9))) == [2.0]

    def test_two_versions_of_one_receive_time(self, backend: Backend) -> None:
        """A source that numbers its samples wrongly: both are kept, one is valid, and it stays the same one."""
        backend.write({"g1": batch(sample(1, 1.0, sequence=1), sample(1, 2.0, sequence=1))})
        assert sorted(row.value for row in read(backend, versions=True)) == [
            struct.pack(">d", value) for value in (1.0, 2.0)
        ]
        valid = read(backend)
        assert len(valid) == 1
        assert read(backend) == valid == rows_of(backend.last_before(["a"], 9))

    def test_late_samples(self, backend: Backend) -> None:
        """Before, between and beside what is there; read in order, and last_before sees them."""
        backend.write({"g1": batch(*(sample(time, received=1) for time in (100, 200, 300)))})
        late = [sample(time, float(time), received=2) for time in (250, 50, 150, 350)]
        assert backend.write({"g1": batch(*late)}).duplicates == 0
        assert [row.source_time for row in read(backend)] == [50, 100, 150, 200, 250, 300, 350]
        assert [row.source_time for row in read(backend, as_of=1)] == [100, 200, 300]
        assert rows_of(backend.last_before(["a"], 300)) == exact([late[0]])
        assert rows_of(backend.last_before(["a"], 100)) == exact([late[1]])

    def test_versions_in_two_groups(self, backend: Backend) -> None:
        """What both groups hold is given once; the newest of either is valid."""
        first, second = sample(1, 1.0, received=10), sample(1, 2.0, received=20)
        backend.write({"g1": batch(first), "g2": batch(first)})
        backend.write({"g1": batch(second)})
        assert read(backend) == exact([second])
        assert read(backend, versions=True) == exact([first, second])
        assert read(backend, groups=["g2"]) == exact([first])
        assert rows_of(backend.last_before(["a"], 9)) == exact([second])
        assert rows_of(backend.last_before(["a"], 9, groups=["g2"])) == exact([first])

    def test_a_correction_of_one_sample_among_many(self, backend: Backend) -> None:
        """Neighbours keep their version."""
        rows: list[Row] = [sample(i, float(i)) for i in range(100)]
        backend.write({"g1": batch(*rows)})
        backend.write({"g1": batch(sample(50, -1.0, received=2))})
        expected = [float(i) for i in range(100)]
        expected[50] = -1.0
        assert floats(read(backend)) == expected
        assert len(read(backend, versions=True)) == 101
