"""Maintenance of one backend fails for itself alone."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from archiver.model import TransientError
from archiver.pipeline import maintenance as module
from archiver.pipeline.maintenance import Maintenance
from archiver.testing.patience import SOON_S


class Compacting:
    def __init__(self, name: str, error: Exception | None = None, times: int = 1) -> None:
        self.name = name
        self._error = error
        self._times = times
        self.calls = 0
        self.done = threading.Event()

    def compact(self) -> int:
        self.calls += 1
        if self._error is not None:
            raise self._error
        if self.calls == self._times:
            self.done.set()
        return 0


def lane(backend: Compacting) -> SimpleNamespace:
    return SimpleNamespace(backend=backend, position=1, router=SimpleNamespace(groups={}))


@pytest.mark.parametrize("error", [TransientError("down"), ValueError("a bug"), MemoryError()], ids=repr)
def test_an_error_ends_neither_the_thread_nor_the_round(monkeypatch, caplog, error):
    monkeypatch.setattr(module, "_EVERY_S", 0.001)
    bad, good = Compacting("bad", error), Compacting("good", times=2)
    maintenance = Maintenance(lambda: [lane(bad), lane(good)])
    maintenance.start()
    assert good.done.wait(SOON_S)
    maintenance.stop()
    assert bad.calls >= 2
    assert "maintenance of bad" in caplog.text
    assert "it is tried again" in caplog.text
