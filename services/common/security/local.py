"""The key of commands of the same user on the same machine: a private file, while the archive runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archiver.security.files import replace_file
from archiver.security.keys import LOCAL_FILE, new_text


@contextmanager
def local_key(data: Path) -> Iterator[str]:
    """Give the text of a new key, which lies in a file (mode 0600) of the data directory until the end of the block.

    It allows everything: whoever reads it can read and change the files of the archive themselves as well.
    """
    path = data / LOCAL_FILE
    text = new_text("local")
    replace_file(path, text.encode())
    try:
        yield text
    finally:
        path.unlink(missing_ok=True)
