"""What comes with the rows of an answer, for the error stream: how it goes on, and what is missing of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_KEY = b"forebay.outcome"
_LISTED = 10
_LATE = "late: "  # another one answered before, which is no trouble to the reader


class Rows:
    """The rows of an answer in bytes, without the line that ends CSV and NDJSON (`Face.query`).

    Attributes
    ----------
    outcome : dict
        What that line says, once the rows were consumed; empty in the other formats.
    """

    def __init__(self, chunks: Iterable[bytes], format_name: str) -> None:
        self.outcome: dict[str, Any] = {}
        self._chunks = chunks
        self._lines = format_name in ("csv", "ndjson")

    def __iter__(self) -> Iterator[bytes]:
        if not self._lines:
            yield from self._chunks
            return
        held = b""  # the last line so far
        for chunk in self._chunks:
            text = held + chunk
            begin = text.rfind(b"\n", 0, -1) + 1
            held = text[begin:]
            yield text[:begin]
        self.outcome = json.loads(held.removeprefix(b"# "))


def outcome_of(file: Path | None, format_name: str) -> dict[str, Any]:
    """Return the outcome that an Arrow or Parquet file carries; empty without a file, and for other formats."""
    if file is None or not file.is_file():
        return {}
    found: Mapping[bytes, bytes] = {}
    if format_name == "parquet":
        found = pq.read_metadata(file).metadata
    elif format_name == "arrow":
        with pa.memory_map(str(file)) as source, pa.ipc.open_stream(source) as reader:
            try:
                while True:
                    found = reader.read_next_batch_with_custom_metadata().custom_metadata or {}
            except StopIteration:
                pass
    outcome: dict[str, Any] = json.loads(found.get(_KEY, b"{}"))
    return outcome


def remarks(outcome: Mapping[str, Any]) -> Iterator[str]:
    """Yield in words what an outcome says: what failed, what is missing, and how the answer goes on."""
    for part in outcome.get("parts", ()):
        if not part.get("trouble", _LATE).startswith(_LATE):
            yield f"{part['backend']}: {part['trouble']}"
    if not outcome.get("complete", True):
        yield "the answer is partial"
    for missing in outcome.get("missing", ()):
        which = named(missing["elements"]) or "all elements"
        backend = f" of {missing['backend']}" if missing["backend"] else ""
        yield f"missing{backend}: {which}, {missing['start']} to {missing['end']}: {missing['reason']}"
    if outcome.get("cursor"):
        yield f"there is more: --cursor {outcome['cursor']}"


def named(elements: Sequence[str]) -> str:
    """Return names of elements, the first few where they are many."""
    return ", ".join([*elements[:_LISTED], *(["…"] if len(elements) > _LISTED else [])])
