"""Ports of this machine that nobody uses, for servers under test."""

from __future__ import annotations

import itertools
import os
import random
import re
import socket

_FIRST, _SHARE, _SHARES = 20_000, 1_000, 12
"""Below what systems lend to clients (Linux: from 32,768 on): while a server is down, no connection gets its port."""


def _own_ports() -> itertools.cycle[int]:
    """Return the ports of this process: another worker of pytest-xdist has others."""
    worker = int("".join(re.findall(r"\d+", os.environ.get("PYTEST_XDIST_WORKER", "")) or "0"))
    first = _FIRST + worker % _SHARES * _SHARE
    begin = random.SystemRandom().randrange(_SHARE)  # not those of the run before
    return itertools.cycle(first + (begin + number) % _SHARE for number in range(_SHARE))


_PORTS = _own_ports()


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody uses now, and that this function gives to nobody else for long."""
    return list(itertools.islice(filter(_is_free, _PORTS), count))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
