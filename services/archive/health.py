"""Whether the archive can take samples in and keep them, and if not, why."""

from __future__ import annotations

import shutil

from archiver.bootstrap import Archive

DISK_FREE = 512 * 2**20
"""Bytes that must be free on the disk of the data directory."""

OLDEST_S = 900.0
"""Age of a sample that a backend still lacks, from which on somebody should look."""

_NEARLY_FULL = 0.95


def not_ready(archive: Archive) -> list[str]:
    """Return the reasons why the archive is not ready, none when it is."""
    return [*_journal(archive), *_disk(archive), *_lanes(archive)]


def not_started(archive: Archive) -> list[str]:
    """Return the lanes that have neither reached their backend yet nor failed to, none when it has come up."""
    lanes = list(archive.lanes.items())
    return [f"backend {name} was not reached yet" for name, lane in lanes if lane.status().state == "starting"]


def _journal(archive: Archive) -> list[str]:
    largest = getattr(getattr(archive.journal, "options", None), "max_bytes", None)  # a journal may know no bound
    size = archive.journal.state().bytes
    if largest is None or size < _NEARLY_FULL * largest:
        return []
    return [f"the journal is full: {size} of {largest} bytes (journal.max_bytes); a backend is behind"]


def _disk(archive: Archive) -> list[str]:
    free = shutil.disk_usage(archive.directory).free
    if free >= DISK_FREE:
        return []
    return [f"the disk of {archive.directory} is nearly full: {free} bytes are free, {DISK_FREE} should be"]


def _lanes(archive: Archive) -> list[str]:
    reasons = []
    for name, lane in list(archive.lanes.items()):
        status = lane.status()
        if status.state == "stopped":
            reasons.append(f"the lane of backend {name} has stopped: {status.last_error or 'no error is known'}")
        elif status.oldest_unflushed_s > OLDEST_S:
            reasons.append(
                f"backend {name} lacks samples that are {status.oldest_unflushed_s:.0f} s old: "
                f"{status.last_error or 'it is slow'}"
            )
    return reasons
