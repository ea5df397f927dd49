"""Work that outlives a request: once per key, cancelled, failed in words, and there after a restart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archiver.model import BackpressureError, InvalidInputError, NotFoundError, TransientError
from archiver.model.interruption import interruptible
from archiver.testing.patience import SOON_S
from services.common import jobs as module
from services.common.jobs import Job, Jobs, Running, State


@pytest.fixture
def jobs(tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(tmp_path / "jobs")
    yield made
    made.close()


def submit(jobs: Jobs, work: Callable[[Running], None], owner: str = "ann", key: str = "", **asked: str) -> Job:
    return jobs.submit(owner, asked, "text/plain", work, key)


def ended(jobs: Jobs, job: Job) -> Job:
    """Return a job when it ended."""
    tick = threading.Event()
    while not jobs.get(job.owner, job.id).state.is_final:
        tick.wait(0.01)
    return jobs.get(job.owner, job.id)


def write_hello(running: Running) -> None:
    running.write(b"hello")
    running.tell({"bytes": 5})


def test_its_result_is_kept(jobs: Jobs, tmp_path: Path) -> None:
    job = ended(jobs, submit(jobs, write_hello))
    assert (job.state, job.progress, job.problem) == (State.DONE, {"bytes": 5}, None)
    assert jobs.result(job).read_bytes() == b"hello"
    jobs.close()
    again = Jobs(tmp_path / "jobs")
    assert again.get("ann", job.id) == job
    assert again.result(job).read_bytes() == b"hello"
    again.close()


def test_the_same_key_is_the_same_job(jobs: Jobs) -> None:
    first = submit(jobs, write_hello, key="k", ask="a")
    assert submit(jobs, write_hello, key="k", ask="a").id == first.id
    assert submit(jobs, write_hello, key="k", ask="a", owner="bob").id != first.id
    assert submit(jobs, write_hello, ask="a").id != first.id
    with pytest.raises(InvalidInputError, match="another request"):
        submit(jobs, write_hello, key="k", ask="b")


def test_what_fails_says_why(jobs: Jobs) -> None:
    def fail(running: Running) -> None:
        raise TransientError("no route to host")

    job = ended(jobs, submit(jobs, fail))
    assert job.state is State.FAILED
    assert job.problem is not None
    assert (job.problem["status"], job.problem["detail"]) == (503, "no route to host")


def test_an_unexpected_error_is_logged_and_not_told(jobs: Jobs, caplog: pytest.LogCaptureFixture) -> None:
    job = ended(jobs, submit(jobs, lambda running: [][0]))
    assert job.problem is not None
    assert "log" in job.problem["detail"]
    assert "IndexError" in caplog.text


class Stuck:
    """Work that ends when it is stopped."""

    def __init__(self) -> None:
        self.begun, self.stopped = threading.Event(), threading.Event()

    def __call__(self, running: Running) -> None:
        with interruptible(self.stopped.set):
            self.begun.set()
            assert self.stopped.wait(SOON_S)
            raise TransientError("cut off")


def test_it_is_cancelled_while_it_runs_and_while_it_waits(jobs: Jobs) -> None:
    works = [Stuck() for _ in range(module._WORKERS)]
    running = [submit(jobs, work) for work in works]
    waiting = submit(jobs, write_hello)
    for work in works:
        assert work.begun.wait(SOON_S)
    jobs.remove("ann", waiting.id)
    assert jobs.get("ann", waiting.id).state is State.CANCELLED
    for job in running:
        jobs.remove("ann", job.id)
        assert ended(jobs, job).state is State.CANCELLED
    assert ended(jobs, submit(jobs, write_hello)).state is State.DONE


def test_who_ended_is_forgotten_with_his_result(jobs: Jobs) -> None:
    job = ended(jobs, submit(jobs, write_hello))
    jobs.remove("ann", job.id)
    with pytest.raises(NotFoundError):
        jobs.get("ann", job.id)
    assert not jobs.result(job).exists()


def test_others_do_not_see_it(jobs: Jobs) -> None:
    job = submit(jobs, write_hello)
    assert jobs.of("bob") == []
    with pytest.raises(NotFoundError):
        jobs.get("bob", job.id)
    with pytest.raises(NotFoundError):
        jobs.remove("bob", job.id)


def test_too_many_are_refused(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 1)
    works = [Stuck() for _ in range(module._WORKERS)]
    for work in works:
        submit(jobs, work)
        assert work.begun.wait(SOON_S)
    submit(jobs, write_hello)
    with pytest.raises(BackpressureError):
        submit(jobs, write_hello)


def test_what_was_under_way_when_the_service_died_has_failed(tmp_path: Path) -> None:
    first = Jobs(tmp_path)
    work = Stuck()
    job = submit(first, work)
    assert work.begun.wait(SOON_S)
    (tmp_path / "torn").mkdir()
    again = Jobs(tmp_path)
    found = again.get("ann", job.id)
    assert found.state is State.FAILED
    assert found.problem is not None
    assert "ask again" in found.problem["detail"]
    assert not (tmp_path / "torn").exists()
    again.close()
    first.close()


def test_old_results_are_forgotten(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ended(jobs, submit(jobs, write_hello))
    monkeypatch.setattr(module, "_KEPT_NS", -1)
    submit(jobs, write_hello)
    with pytest.raises(NotFoundError):
        jobs.get("ann", job.id)
    assert not jobs.result(job).exists()


def test_a_key_whose_job_came_to_nothing_is_free_again(jobs: Jobs) -> None:
    """Otherwise who asks again after a restart, as he is told to, would be given the failure for a day."""

    def fail(running: Running) -> None:
        raise TransientError("no route to host")

    failed = ended(jobs, submit(jobs, fail, key="k"))
    again = submit(jobs, write_hello, key="k")
    assert again.id != failed.id
    assert ended(jobs, again).state is State.DONE


def test_room_is_left_on_the_disk(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results never take the room that samples need."""
    monkeypatch.setattr(module, "_SPARE_BYTES", 2**62)
    job = ended(jobs, submit(jobs, write_hello))
    assert job.problem is not None
    assert "which are for samples" in job.problem["detail"]


@pytest.mark.parametrize("when", ["when it begins", "when it ends"])
def test_a_disk_that_fails_ends_the_job(jobs: Jobs, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """It is not running for ever after: nobody could forget it."""
    work = Stuck()
    keep = module.replace_file

    def failing(path: Path, content: bytes) -> None:
        if b'"running"' in content if when == "when it begins" else b'"ended": 0' not in content:
            raise OSError(28, "No space left on device")
        keep(path, content)

    monkeypatch.setattr(module, "replace_file", failing)
    job = submit(jobs, work)
    work.stopped.set()
    state = ended(jobs, job).state
    assert state is State.FAILED
    jobs.remove("ann", job.id)
    assert jobs.of("ann") == []


def test_what_cannot_be_kept_is_refused(jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "replace_file", failing)
    with pytest.raises(TransientError, match="No space left"):
        submit(jobs, write_hello)
    assert jobs.of("ann") == []
    assert list((tmp_path / "jobs").iterdir()) == []


def test_those_that_wait_do_not_begin_when_it_is_closed(jobs: Jobs) -> None:
    works = [Stuck() for _ in range(module._WORKERS + 20)]
    for work in works:
        submit(jobs, work)
    for work in works[: module._WORKERS]:
        assert work.begun.wait(SOON_S)
    jobs.close()
    assert [work.begun.is_set() for work in works].count(True) == module._WORKERS
