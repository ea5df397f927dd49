"""Files that only their owner reads, and that are whole whenever one looks."""

from __future__ import annotations

import os
from pathlib import Path

from archiver.model.disk import sync

PRIVATE = 0o600


def replace_file(path: Path, content: bytes, *, synced: bool = True) -> None:
    """Write a private file (mode 0600) in one piece: whoever looks finds the old one or the new one.

    It is durable, and after a power cut one of the two as well, unless `synced` is false.
    """
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    try:
        give_to_owner(fresh)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if synced:
                os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    if synced:
        sync(path.parent)


def give_to_owner(path: Path) -> None:
    """Give a new file to the owner of its directory when root made it: the archive runs as that user, and reads it."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
