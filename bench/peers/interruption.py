"""SIGKILL while samples come in: of a server under its client, and of a process that a peer is embedded in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from bench.peers.port import Load, Peer

_LONGEST_S = 120.0


def kill_server(peer: Peer, kill: Callable[[], None], load: Load, after: int) -> int:
    """Ingest into a server, and kill it once so many samples are acknowledged; return how many were."""
    taken, lock, reached = 0, threading.Lock(), threading.Event()
    errors: list[Exception] = []

    def acknowledged(rows: int) -> None:
        nonlocal taken
        with lock:
            taken += rows
        if taken >= after:
            reached.set()

    def ingest() -> None:
        try:
            peer.ingest(load, acknowledged)
        except Exception as exc:  # noqa: BLE001 - the kill ends it, in whatever way the driver says so
            errors.append(exc)
        reached.set()

    thread = threading.Thread(target=ingest)
    thread.start()
    reached.wait(_LONGEST_S)
    kill()
    thread.join()
    if taken < after:
        raise RuntimeError(f"{peer.name} ended by itself after {taken} samples") from (errors[0] if errors else None)
    return taken


def kill_embedding(peer: Peer, directory: Path, load: Load, after: int) -> int:
    """Ingest in a process of its own, and kill it once so many samples are acknowledged; return how many were."""
    arguments = [type(peer).__module__, peer.name, str(directory), str(len(load.names)), str(load.samples)]
    command = [sys.executable, "-m", "bench.peers.interruption", *arguments]
    taken = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            taken = int(line) if line.endswith("\n") else taken
            if taken >= after:
                process.send_signal(signal.SIGKILL)
    if taken < after:
        raise RuntimeError(f"{peer.name} ended by itself after {taken} samples, with {process.returncode}")
    return taken


def _embedded(module: str, name: str, directory: str, elements: str, samples: str) -> None:
    """Ingest, and print how many samples are acknowledged so far; one write a line, so that none is cut."""
    peer = next(peer for peer in sys.modules[module].PEERS if peer.name == name)
    peer.start(Path(directory))
    taken = 0

    def acknowledged(rows: int) -> None:
        nonlocal taken
        taken += rows
        os.write(1, f"{taken}\n".encode())

    peer.ingest(Load.of(int(elements), int(samples)), acknowledged)


if __name__ == "__main__":
    __import__(sys.argv[1])
    _embedded(*sys.argv[1:])
