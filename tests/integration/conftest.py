"""Archives that several system tests need."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.ports import Backend

LANE = {"flush_interval": "20ms", "retry_first": "10ms", "retry_longest": "50ms"}
BOTH = [
    {"name": "lake", "kind": "parquet", "lane": LANE},
    {"name": "warm", "kind": "sql", "url": "sqlite:///warm.db", "lane": LANE},
]


@pytest.fixture
def make_archive(tmp_path: Path) -> Iterator[Callable[..., Archive]]:
    """Give a function that makes an archive in one directory, not open yet; what is open at the end is closed."""
    made: list[Archive] = []

    def make(
        *, wrap: Callable[[Backend], Backend] | None = None, backends: list[dict[str, Any]] = BOTH, **document: Any
    ) -> Archive:
        fixed = {"data": str(tmp_path / "data"), "query": {"hedge_after": "1h"}}  # who is asked does not hang on load
        settings = config.parse({**fixed, "backends": backends, **document})
        archive = Archive(settings)
        if wrap is not None:
            plain = archive.make_backend
            archive.make_backend = lambda *given: wrap(plain(*given))  # type: ignore[method-assign]
        made.append(archive)
        return archive

    yield make
    for archive in made:
        if archive.lanes:
            archive.close(drain=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Lend a file system of 24 MiB in memory; skip where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "forebay-test", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)
