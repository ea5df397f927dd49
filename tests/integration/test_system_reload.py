"""Another configuration while running: backends come and go, smoothing changes, and a bad file changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from archiver.bootstrap import Archive
from archiver.model import Interval, SampleBatch
from archiver.testing.patience import SOON_S
from archiver.testing.service import running_service, until

T0 = 1_767_225_600_000_000_000
BACKENDS = [
    {"name": "lake", "kind": "parquet"},
    {"name": "warm", "kind": "sql", "url": "sqlite:///warm.db"},
]
EVER = Interval(T0, T0 + 10**12)
LAKE = '[[backends]]\nname = "lake"\nkind = "parquet"\nlane = { flush_interval = "20ms" }\n'
WARM = '[[backends]]\nname = "warm"\nkind = "sql"\nurl = "sqlite:///warm.db"\nlane = { flush_interval = "20ms" }\n'


def group(*backends: str, smoothing: str = "none") -> str:
    tolerance = "" if smoothing == "none" else ", tolerance = 0.5"
    rule = f'smoothing = {{ kind = "{smoothing}"{tolerance} }}\n'
    return f'[[groups]]\nname = "all"\nelements = ["*"]\nbackends = {list(backends)}\n{rule}'.replace("'", '"')


def test_sighup(tmp_path: Path, forebay):
    file = tmp_path / "forebay.toml"
    file.write_text(LAKE + group("lake"))
    with running_service(tmp_path) as service, httpx.Client(base_url=service.url, timeout=SOON_S) as client:

        def send(first: int, count: int) -> None:
            rows = [{"element": "T1", "source_time": T0 + i, "value": float(i)} for i in range(first, first + count)]
            assert client.post("/v1/samples", json=rows).json()["counts"]["buffered"] == count

        def backends() -> dict[str, dict]:
            return {row["name"]: row for row in client.get("/v1/backends").json()["backends"]}

        def values(backend: str) -> list[float]:
            words = ["T1", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z", "--backend", backend]
            done = forebay("query", *words, "--data", tmp_path)
            assert done.code == 0, done.errors
            return [float(line.split(",")[2]) for line in done.text.splitlines()[1:]]

        send(0, 10)
        until(lambda: backends()["lake"]["lag_samples"] == 0)
        # added: it gets what the journal holds, and `copy` the past
        file.write_text(LAKE + WARM + group("lake", "warm"))
        assert "backend warm added" in service.reload()
        send(10, 5)
        until(lambda: backends()["warm"]["lag_samples"] == 0)
        assert set(values("warm")) >= {float(i) for i in range(10, 15)}
        day = ["--from", "2026-01-01T00:00:00Z", "--to", "2026-01-02T00:00:00Z"]
        assert forebay("copy", "lake", "warm", *day, "--data", tmp_path).code == 0
        assert values("warm") == values("lake") == [float(i) for i in range(15)]
        # a bad file: the old configuration stays in force, and the reason is said
        file.write_text(LAKE.replace("parquet", "parket") + WARM + group("lake", "warm"))
        said = service.reload()
        assert "was not read again" in said
        assert "did you mean 'parquet'?" in service.errors()
        send(15, 5)
        until(lambda: all(row["lag_samples"] == 0 for row in backends().values()))
        assert values("warm") == values("lake") == [float(i) for i in range(20)]
        file.write_text(LAKE + WARM + group("lake", "warm") + "[journal]\nmax_bytes = 1000000\n")
        assert "restart forebay" in service.reload()
        # removed
        file.write_text(LAKE + group("lake"))
        assert "backend warm removed" in service.reload()
        assert list(backends()) == ["lake"]
        send(20, 5)
        until(lambda: backends()["lake"]["lag_samples"] == 0)
        assert values("lake") == [float(i) for i in range(25)]
        # commands that come when nobody runs go by the configuration that was in force last
    done = forebay("backends", "--data", tmp_path)
    assert [line.split()[0] for line in done.text.splitlines()] == ["name", "lake"]


def settings(make_archive: Callable[..., Archive], smoothing: dict, backends: tuple[str, ...] = ("lake", "warm")):
    group = {"name": "all", "elements": ["*"], "backends": ["lake", "warm"], "smoothing": smoothing}
    return make_archive(groups=[group])


def stored(archive: Archive, backend: str) -> list[float]:
    batches = archive.lanes[backend].backend.read(["T1"], EVER)
    return [row[-1] for row in SampleBatch.concat(list(batches)).to_pylist()]


def test_what_a_door_held_is_stored_once_when_the_smoothing_goes(make_archive: Callable[..., Archive]):
    door, plain = {"kind": "swinging_door", "tolerance": 0.5}, {"kind": "none"}
    archive = settings(make_archive, door).open()
    archive.intake.submit(SampleBatch.from_columns("T1", [T0, T0 + 1, T0 + 2], [0.0, 1.0, 2.0])).result()
    assert archive.flush()
    assert stored(archive, "lake") == stored(archive, "warm") == [0.0]
    account = sorted((t.outcome, t.count) for t in archive.totals() if t.lane == "lake")
    assert account == [("buffered", 1), ("smoothed", 1), ("stored", 1)]
    assert archive.reload(settings(make_archive, plain).settings) == ["backend lake changed", "backend warm changed"]
    assert archive.wait_ready()
    expected = [("smoothed", 1), ("stored", 2)]
    for _ in range(3):  # over restarts too
        assert stored(archive, "lake") == stored(archive, "warm") == [0.0, 2.0]
        assert sorted((t.outcome, t.count) for t in archive.totals() if t.lane == "lake") == expected
        archive.close()
        archive = settings(make_archive, plain).open()
        assert archive.wait_ready()


def test_a_reload_that_cannot_be_leaves_everything_as_it_was(make_archive: Callable[..., Archive], monkeypatch):
    archive = make_archive().open()
    lanes = dict(archive.lanes)
    other = make_archive(backends=[{"name": "lake", "kind": "parquet"}, {"name": "other", "kind": "memory"}]).settings
    with monkeypatch.context() as patch:

        def fails(*_given):
            raise RuntimeError("as the test asked for")

        patch.setattr(archive, "make_backend", fails)
        with pytest.raises(RuntimeError):
            archive.reload(other)
    assert archive.lanes == lanes
    archive.intake.submit(SampleBatch.from_columns("T1", [T0], [1.0])).result()
    assert archive.flush()
    assert stored(archive, "lake") == stored(archive, "warm") == [1.0]


def test_the_order_of_preference_is_that_of_the_file(make_archive: Callable[..., Archive]):
    archive = make_archive().open()
    turned = make_archive(backends=BACKENDS[::-1]).settings
    archive.reload(turned)
    assert list(archive.readers()) == ["warm", "lake"]
