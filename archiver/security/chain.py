"""The form of the audit log: JSON lines, each with the hash of the one before; and whether it is as it was written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from archiver.model import PermanentError

DIRECTORY = "audit"
HEAD = "head.json"
FIRST = "0" * 64
"""What the first record has in place of a hash of the one before."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """A place where the log is not as it was written."""

    place: str
    what: str


@dataclass(frozen=True)
class Verdict:
    """What `verify` found: how many records there are, the hash of the last one, and every fault."""

    records: int
    head: str
    faults: tuple[Fault, ...]


def seal(record: Mapping[str, Any]) -> Record:
    """Return a record with its hash: the SHA-256 of its canonical JSON, which has the hash of the one before."""
    return {**record, "hash": _hash(record)}


def files_of(directory: Path) -> list[Path]:
    """Return the files of a log, oldest first."""
    return sorted(directory.glob("[0-9]*.jsonl"))


def records_of(data: Path) -> Iterator[Record]:
    """Yield the records of the audit log of a data directory, oldest first.

    Raises
    ------
    PermanentError
        A line is no record: `verify` says more.
    """
    for file in files_of(data / DIRECTORY):
        for place, record in _lines(file):
            if record is None:
                raise PermanentError(f"{place} is no record of an audit log; see `forebay audit verify`")
            yield record


def verify(data: Path, head: str | None = None) -> Verdict:
    """Return whether the audit log of a data directory is as it was written.

    A record that was changed does not have its hash; one that was removed or moved is not the one that the next one
    names. Records that are missing at the end are found by the head, which is kept beside the log, and surely by one
    that was written down elsewhere: whoever can write to the directory can write the whole chain anew.

    Parameters
    ----------
    data : Path
        The data directory.
    head : str, optional
        Hash of a record, as a verification before gave it: it has to be in the log.
    """
    faults: list[Fault] = []
    hashes: dict[int, str] = {}
    last, number = FIRST, 0
    for file in files_of(data / DIRECTORY):
        for place, record in _lines(file):
            if record is None:
                faults.append(Fault(place, "is no record"))
                continue
            faults += [Fault(place, what) for what in _faults(record, number, last)]
            last, number = str(record["hash"]), record["number"]
            hashes[number] = last
    faults += _missing_end(data / DIRECTORY / HEAD, hashes, number)
    if head is not None and head not in hashes.values():
        faults.append(Fault("the log", f"the record with the hash {head} is not in it"))
    return Verdict(len(hashes), last, tuple(faults))


def _faults(record: Record, number: int, last: str) -> Iterator[str]:
    if _hash({key: value for key, value in record.items() if key != "hash"}) != record["hash"]:
        yield f"record {record['number']} was changed: it does not have the hash that it names"
    if record["number"] != number + 1:
        yield f"record {record['number']} follows record {number}: records were removed or moved"
    elif record["previous"] != last:
        yield f"record {record['number']} does not follow the one before it: that one was changed or exchanged"


def _missing_end(path: Path, hashes: Mapping[int, str], number: int) -> list[Fault]:
    """Return what the head says of the end; it may be behind by a record that a power cut came after."""
    if not path.exists():
        return [Fault(str(path), "is missing: nothing says which record was the last")] if number else []
    try:
        document = json.loads(path.read_bytes())
        head, expected = int(document["number"]), str(document["hash"])
    except (ValueError, KeyError, TypeError):
        return [Fault(str(path), "cannot be read")]
    if head > number:
        return [Fault(str(path), f"there were {head} records, and {number} are left: the end was removed")]
    if hashes.get(head) != expected:
        return [Fault(str(path), f"record {head} is not the one that was written")]
    return []


def _lines(file: Path) -> Iterator[tuple[str, Record | None]]:
    """Yield where each line is, and the record that it is."""
    with file.open("rb") as lines:
        for index, line in enumerate(lines, 1):
            yield f"{file.name}, line {index}", parse(line)


def parse(line: bytes) -> Record | None:
    """Return the record that a line is; None when it is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or not isinstance(record.get("number"), int):
        return None
    return record if {"hash", "previous"} <= record.keys() else None


def _hash(record: Mapping[str, Any]) -> str:
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(canonical.encode()).hexdigest()
