"""Work that outlives a request: started once, watched, cancelled, and its result kept for a while.

A job is a folder: ``job.json`` says what it is and how far it came, ``result`` is what it made. Both are there after a
restart; work that was under way then has failed.
"""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from archiver.model import (
    BackpressureError,
    ForebayError,
    InvalidInputError,
    NotFoundError,
    PermanentError,
    StoppedError,
    TransientError,
    format_time,
)
from archiver.model.interruption import Interruption
from archiver.model.time import now
from archiver.security.files import replace_file
from services.common.problems import document_of

_LOG = logging.getLogger(__name__)
_WORKERS = 4  # a copy of months goes on for hours beside the others
_MOST_WAITING = 100
_KEPT_NS = 24 * 3600 * 10**9
_RETRY_S = 10.0
_SPARE_BYTES = 2**30


class State(StrEnum):
    """How far a job came."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether it stays so."""
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True)
class Job:
    """What is known of a piece of work.

    Parameters
    ----------
    id : str
    owner : str
        Who asked for it; nobody else sees it.
    request : mapping
        What was asked, as plain values.
    media_type : str
        Of the result.
    key : str
        The ``Idempotency-Key`` it came with; empty without one.
    state : State
    created, ended : int
        ns since the epoch; `ended` is 0 until it ended.
    progress : mapping
        How far it came, in the work's own terms.
    problem : mapping or None
        Why it failed, as a problem document.
    """

    id: str
    owner: str
    request: Mapping[str, Any]
    media_type: str
    key: str = ""
    state: State = State.QUEUED
    created: int = 0
    ended: int = 0
    progress: Mapping[str, Any] = field(default_factory=dict)
    problem: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as a client sees it."""
        return {
            "id": self.id,
            "state": str(self.state),
            "request": dict(self.request),
            "created": format_time(self.created),
            "ended": format_time(self.ended) if self.ended else None,
            "progress": dict(self.progress),
            "result": f"/v1/jobs/{self.id}/result" if self.state is State.DONE else None,
            "problem": None if self.problem is None else dict(self.problem),
        }


class Running:
    """What the work itself has: where the result goes, who wants it to stop, and whom it tells how far it is."""

    def __init__(self, result: IO[bytes], tell: Callable[[Mapping[str, Any]], None]) -> None:
        self._result = result
        self.tell = tell
        self.stop = Interruption()
        self.bytes = 0

    def write(self, piece: bytes) -> None:
        """Append to the result.

        Raises
        ------
        PermanentError
            The disk would be full: what is left of it is for samples.
        """
        if shutil.disk_usage(self._result.fileno()).free < _SPARE_BYTES + len(piece):
            raise PermanentError(
                f"the disk of the data directory has less than {_SPARE_BYTES >> 20} MiB left, which are for samples: "
                "ask for less, or forget jobs that are done"
            )
        self._result.write(piece)
        self.bytes += len(piece)

    def close(self) -> None:
        """End the result; an error of the disk may come as late as this."""
        self._result.close()


Work = Callable[[Running], None]


class Jobs:
    """The jobs of one service.

    Parameters
    ----------
    directory : Path
        Made when it is not there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._running: dict[str, Running] = {}
        self._closed = False
        self._pool = ThreadPoolExecutor(_WORKERS, "job")
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in sorted(directory.iterdir()):
            self._recover(folder)

    def close(self) -> None:
        """Stop what is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)  # first: none of those that wait begins any more
        with self._lock:
            self._closed = True
            running = list(self._running.values())
        for work in running:
            work.stop.set()
        self._pool.shutdown()

    def submit(self, owner: str, request: Mapping[str, Any], media_type: str, work: Work, key: str = "") -> Job:
        """Take a piece of work; the one that came with the same key before, unless that came to nothing.

        Raises
        ------
        InvalidInputError
            Something else came with this key before.
        BackpressureError
            Too many wait already.
        TransientError
            It cannot be kept.
        """
        self._forget_old()
        with self._lock:
            mine = (job for job in self._jobs.values() if key and (job.owner, job.key) == (owner, key))
            same = [job for job in mine if job.state not in (State.FAILED, State.CANCELLED)]
            if same and dict(same[0].request) != dict(request):
                raise InvalidInputError(f"Idempotency-Key {key!r} came with another request before: choose a new one")
            if same:
                return same[0]
            if sum(job.state is State.QUEUED for job in self._jobs.values()) >= _MOST_WAITING:
                raise BackpressureError(f"{_MOST_WAITING} jobs wait already", _RETRY_S)
            job = Job(secrets.token_hex(12), owner, request, media_type, key, created=now())
            try:
                (self._directory / job.id).mkdir(mode=0o700)
                self._keep(job)
                self._pool.submit(self._run, job.id, work)
            except (OSError, RuntimeError) as exc:  # the disk is full, or the service is on its way down
                self._jobs.pop(job.id, None)
                shutil.rmtree(self._directory / job.id, ignore_errors=True)
                raise TransientError(f"the job cannot be kept: {exc}; ask again") from exc
        return job

    def of(self, owner: str) -> list[Job]:
        """Return the jobs of a caller, oldest first."""
        with self._lock:
            return sorted((job for job in self._jobs.values() if job.owner == owner), key=lambda job: job.created)

    def counts(self) -> dict[State, int]:
        """Return how many jobs there are in each state."""
        with self._lock:
            return {state: sum(job.state is state for job in self._jobs.values()) for state in State}

    def get(self, owner: str, job_id: str) -> Job:
        """Return a job of a caller.

        Raises
        ------
        NotFoundError
        """
        job = self._jobs.get(job_id)
        if job is None or job.owner != owner:
            raise NotFoundError(f"there is no job {job_id!r}; results are kept for {_KEPT_NS // (3600 * 10**9)} hours")
        return job

    def result(self, job: Job) -> Path:
        """Return the file that a job made; it is whole when the job is done."""
        return self._directory / job.id / "result"

    def remove(self, owner: str, job_id: str) -> None:
        """Cancel a job that has not ended; forget one that has, with its result."""
        with self._lock:
            job = self.get(owner, job_id)
            running = self._running.get(job.id)
            if running is None and job.state is State.QUEUED:
                self._keep(replace(job, state=State.CANCELLED, ended=now()))
            elif running is None:
                self._jobs.pop(job.id, None)
                shutil.rmtree(self._directory / job.id, ignore_errors=True)
        if running is not None:
            running.stop.set()

    # -- doing ----------------------------------------------------------------------------------------

    def _run(self, job_id: str, work: Work) -> None:
        try:
            running = self._begin(job_id)
        except OSError as exc:
            self._end(job_id, _failed(exc))
            return
        if running is None:
            return
        try:
            end = self._outcome(running, work)
            running.close()
        except OSError as exc:
            end = _failed(exc)
        self._end(job_id, end)

    def _begin(self, job_id: str) -> Running | None:
        with self._lock:
            job = self._jobs.get(job_id)
            if job is None or job.state is not State.QUEUED or self._closed:  # cancelled while it waited
                return None
            self._keep(replace(job, state=State.RUNNING))
            result = self.result(job).open("wb")
            running = self._running[job_id] = Running(result, lambda progress: self._tell(job_id, progress))
            return running

    def _end(self, job_id: str, end: Mapping[str, Any]) -> None:
        with self._lock:
            self._running.pop(job_id, None)
            job = self._jobs[job_id] = replace(self._jobs[job_id], ended=now(), **end)
            try:
                self._keep(job)
            except OSError:
                _LOG.exception("the end of job %s was not written down: it will have failed after a restart", job_id)

    def _outcome(self, running: Running, work: Work) -> dict[str, Any]:
        try:
            with running.stop.applied():
                work(running)
        except StoppedError:
            return {"state": State.CANCELLED}
        except OSError as exc:
            return _failed(exc)
        except ForebayError as exc:
            stopped = running.stop.is_set  # what is stopped may fail in any way
            return {"state": State.CANCELLED} if stopped else {"state": State.FAILED, "problem": document_of(exc)}
        except Exception:  # noqa: BLE001 - a thread of the pool would swallow it
            _LOG.exception("a job failed")
            problem = document_of(ForebayError("an unexpected error; the log of the server says more"))
            return {"state": State.FAILED, "problem": problem}
        return {"state": State.DONE}

    def _tell(self, job_id: str, progress: Mapping[str, Any]) -> None:
        with self._lock:
            self._jobs[job_id] = replace(self._jobs[job_id], progress=progress)

    # -- keeping --------------------------------------------------------------------------------------

    def _keep(self, job: Job) -> None:
        self._jobs[job.id] = job
        content = json.dumps({**job.__dict__, "state": str(job.state)}).encode()
        replace_file(self._directory / job.id / "job.json", content)

    def _recover(self, folder: Path) -> None:
        try:
            found = json.loads((folder / "job.json").read_bytes())
            job = Job(**{**found, "state": State(found["state"])})
        except (OSError, ValueError, TypeError, KeyError):
            _LOG.warning("%s is not a whole job: removed", folder)
            shutil.rmtree(folder, ignore_errors=True)
            return
        self._jobs[job.id] = job
        if not job.state.is_final:
            problem = document_of(ForebayError("the service was stopped before it was done: ask again"))
            self._keep(replace(job, state=State.FAILED, ended=now(), problem=problem))

    def _forget_old(self) -> None:
        with self._lock:
            old = [job for job in self._jobs.values() if job.state.is_final and now() - job.ended > _KEPT_NS]
            for job in old:
                del self._jobs[job.id]
                shutil.rmtree(self._directory / job.id, ignore_errors=True)


def _failed(exc: OSError) -> dict[str, Any]:
    """Return how a job ended whose files could not be written."""
    _LOG.error("a job failed: %s", exc)
    return {"state": State.FAILED, "problem": document_of(TransientError(f"its result cannot be written: {exc}"))}
