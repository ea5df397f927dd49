"""Text files as record batches of strings, with the line of every row; badly formed lines are set aside."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv

from archiver.model import InvalidInputError
from archiver.sources.replay.options import WHITESPACE, ReplayOptions

_BLOCK = 4 * 2**20
_SAMPLE = 64 * 1024
_CANDIDATES = ("\t", ";", "|", ",")
_LINE_ENDS = re.compile(rb"[ \t]*(\r?\n)[ \t]*")
_BLANKS = re.compile(rb"[ \t]+")


def sniff(sample: str) -> str:
    r"""Return the delimiter of a text: a character that occurs equally often in its first lines, or whitespace.

    Examples
    --------
    >>> sniff("time;flow rate\n2026-01-01 00:00:00;1,5\n")
    ';'
    """
    lines = [line for line in sample.splitlines()[:20] if line.strip()]
    for candidate in _CANDIDATES:
        counts = {len(row) for row in csv.reader(lines, delimiter=candidate)}
        if len(counts) == 1 and counts != {1}:
            return candidate
    most = max(_CANDIDATES, key=lambda candidate: lines[0].count(candidate)) if lines else ","
    if lines and most in lines[0]:
        return most  # some lines are badly formed: the first one decides
    return WHITESPACE if lines and len(lines[0].split()) > 1 else ","


class _Squeezed(io.RawIOBase):
    """A stream in which runs of blanks are one tab, and none stand at the ends of lines."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._rest = b"\n"  # so that blanks at the very beginning stand at the end of a line
        self._first = True
        self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            chunk = self._stream.read(_BLOCK)
            text = self._rest + chunk
            # blanks that the next chunk may continue wait for it
            cut = len(text) if not chunk else len(text.rstrip(b" \t\r\n"))
            self._rest = text[cut:]
            self._ready = _BLANKS.sub(b"\t", _LINE_ENDS.sub(rb"\1", text[:cut]))
            if self._first and self._ready:
                self._first, self._ready = False, self._ready[1:]
            if not chunk:
                break
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


class TextRows:
    """The rows of a text file.

    Parameters
    ----------
    options : ReplayOptions

    Attributes
    ----------
    columns : list of str
        Names from the header, or from the options.
    malformed : list of (line, reason)
        Lines with another number of fields, so far.

    Raises
    ------
    InvalidInputError
        The file cannot be opened, or is empty.
    """

    def __init__(self, options: ReplayOptions) -> None:
        self._options = options
        self._position: Callable[[], int] = lambda: 0
        try:
            self.total = options.file.stat().st_size
            with options.file.open("rb") as file, self._unpacked(file) as stream:
                sample = stream.read(_SAMPLE).decode(options.encoding, "replace").removeprefix("\ufeff")
        except OSError as exc:
            raise InvalidInputError(f"{options.file} cannot be read: {exc.strerror or exc}") from exc
        self._delimiter = options.delimiter or sniff(sample)
        header = sample.splitlines()[0] if sample.strip() else ""
        if not header:
            raise InvalidInputError(f"{options.file} has no lines")
        self.columns = list(options.columns) or self._split(header)
        self._first_line = 1 if options.columns else 2
        self.malformed: list[tuple[int, str]] = []
        self._skipped: list[int] = []

    @property
    def done(self) -> int:
        """Bytes of the file that were read."""
        return min(self._position(), self.total)

    def line_of(self, row: int) -> int:
        """Return the line of a row, counted from 0 over the whole file."""
        line = row + self._first_line
        for skipped in self._skipped:
            if skipped > line:
                break
            line += 1
        return line

    def read(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield these columns as strings, null where a cell is empty or a missing-value marker."""
        with self._options.file.open("rb") as file, self._unpacked(file) as stream:
            self._position = file.tell
            try:
                yield from self._reader(stream, columns)
            except (pa.ArrowInvalid, UnicodeDecodeError) as exc:
                raise InvalidInputError(
                    f"{self._options.file} cannot be read: {exc}; check delimiter and encoding"
                ) from exc
            finally:
                self._position = lambda: self.total

    def _reader(self, stream: IO[bytes], columns: list[str]) -> Any:
        whitespace = self._delimiter == WHITESPACE
        return pa.csv.open_csv(
            io.BufferedReader(_Squeezed(stream), _BLOCK) if whitespace else stream,
            read_options=pa.csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK,
                column_names=self.columns,
                skip_rows=self._first_line - 1,
                encoding=self._options.encoding,
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter="\t" if whitespace else self._delimiter,
                ignore_empty_lines=False,
                invalid_row_handler=self._set_aside,
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.utf8()),
                include_columns=columns,
                null_values=["", *self._options.missing],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )

    def _unpacked(self, file: IO[bytes]) -> AbstractContextManager[IO[bytes]]:
        packed = self._options.file.suffix == ".gz"
        return gzip.GzipFile(fileobj=file) if packed else nullcontext(file)  # type: ignore[return-value]

    def _split(self, header: str) -> list[str]:
        names = (
            header.split() if self._delimiter == WHITESPACE else next(csv.reader([header], delimiter=self._delimiter))
        )
        stripped = [name.strip() for name in names]
        twice = sorted({name for name in stripped if stripped.count(name) > 1})
        if twice:
            raise InvalidInputError(
                f"{self._options.file}: columns come twice: {', '.join(twice)}; name all with columns"
            )
        return stripped

    def _set_aside(self, row: Any) -> str:
        self._skipped.append(row.number)
        self.malformed.append((row.number, f"{row.actual_columns} fields instead of {row.expected_columns}"))
        return "skip"
