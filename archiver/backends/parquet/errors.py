"""Turns what the disk, pyarrow and delta-rs raise into the two kinds of error a lane knows."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError

from archiver.model import ForebayError, PermanentError, TransientError

_FULL = (errno.ENOSPC, errno.EDQUOT)


class DamagedFileError(PermanentError):
    """A data file that the table names cannot be read."""


@contextmanager
def translated(doing: str, where: Path) -> Iterator[None]:
    """Raise `TransientError` or `PermanentError` for whatever the libraries raise in the block.

    Parameters
    ----------
    doing : str
        What is being done, for the message: "writing", "reading".
    where : Path
        The table or file.
    """
    try:
        yield
    except ForebayError:
        raise
    except OSError as exc:  # a vanished file is one too: readers catch it before it gets here
        fix = "free some space; nothing was stored" if exc.errno in _FULL else "check the disk and its permissions"
        raise TransientError(f"{doing} {where}: {exc}; {fix}") from exc
    except pa.ArrowInvalid as exc:
        raise DamagedFileError(
            f"{doing} {where}: not readable as Parquet ({exc}); restore the file, or remove it and copy the span "
            "from another backend with `forebay copy`"
        ) from exc
    except (TableNotFoundError, DeltaProtocolError) as exc:
        raise PermanentError(f"{doing} {where}: not a Delta table this version understands: {exc}") from exc
    except DeltaError as exc:
        raise TransientError(f"{doing} {where}: the Delta log could not be read or committed: {exc}") from exc
