"""Statements of Oracle in the words of H2, which does not know partitions, waits or how indexes lie."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import values as v

_TOKEN = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|/\*.*?\*/|:(\w+)", re.DOTALL)
_LEFT_OUT = [
    re.compile(r"\bUSING INDEX LOCAL COMPRESS \d+", re.IGNORECASE),
    re.compile(r"\bPARTITION BY RANGE.*$", re.IGNORECASE | re.DOTALL),
    re.compile(r"(?<=\))\s*(PCTFREE \d+|NOLOGGING|\s)+$", re.IGNORECASE),
    re.compile(r"(?<=FOR UPDATE) WAIT \d+", re.IGNORECASE),
]
_SAID_OTHERWISE = [
    (re.compile(r"= ANY \(", re.IGNORECASE), "IN ("),
    (re.compile(r"\bBITAND\((\w+),", re.IGNORECASE), r"BITAND(CAST(\1 AS BIGINT),"),
    (re.compile(r"/ \?"), "/ CAST(? AS BIGINT)"),  # else the quotient has a hundred thousand digits
    (re.compile(r"\bSUM\((float_value|CAST\(\w+ AS BINARY_DOUBLE\))\)"), r"CAST(SUM(\1) AS DOUBLE PRECISION)"),
]
_MERGE_WHERE = re.compile(r"WHEN MATCHED THEN UPDATE SET (.*?) WHERE (.*?) (?=WHEN NOT MATCHED)", re.DOTALL)
_CASTS = {
    v.NUMBER: "NUMERIC(38, 10)",
    v.VARCHAR: "VARCHAR",
    v.BINARY_DOUBLE: "DOUBLE PRECISION",
    v.TIMESTAMP: "TIMESTAMP(9)",
    v.RAW: "VARBINARY",
}


def to_h2(statement: str, types: Sequence[int]) -> str:
    """Return the statement with its variables as question marks; `types` are those of their values."""
    numbers = itertools.count()
    merging = re.match(r"\s*merge\b", statement, re.IGNORECASE)

    def mark(found: re.Match[str]) -> str:
        if found.group(1) is None:
            return found.group(0)
        index = next(numbers)
        kind = types[index] if index < len(types) else v.VARCHAR
        return f"CAST(? AS {_CASTS.get(kind, 'VARCHAR')})" if merging else "?"

    text = _TOKEN.sub(mark, statement)
    for pattern in _LEFT_OUT:
        text = pattern.sub("", text)
    for pattern, words in _SAID_OTHERWISE:
        text = pattern.sub(words, text)
    return _MERGE_WHERE.sub(r"WHEN MATCHED AND (\2) THEN UPDATE SET \1 ", text)


def partitions(statement: str) -> tuple[str, int] | None:
    """Return name and partition length of a table that is being made, None of one without partitions."""
    found = re.match(r"\s*CREATE TABLE (\w+).*INTERVAL \((\d+)\)", statement, re.IGNORECASE | re.DOTALL)
    return (found[1].upper(), int(found[2])) if found else None


def dropped_partition(statement: str) -> tuple[str, int] | None:
    """Return table and the instant whose partition is being dropped."""
    found = re.match(r"\s*ALTER TABLE (\w+) DROP PARTITION FOR \((\d+)\)", statement, re.IGNORECASE)
    return (found[1].upper(), int(found[2])) if found else None


def dropped(statement: str) -> str:
    """Return the name of a table that is being dropped, nothing for another statement."""
    found = re.match(r"\s*DROP TABLE (\w+)\s*$", statement, re.IGNORECASE)
    return found[1].upper() if found else ""


def locked(statement: str) -> str:
    """Return the name of a table that is being locked, nothing for another statement."""
    found = re.match(r"\s*LOCK TABLE (\w+) IN EXCLUSIVE MODE WAIT \d+\s*$", statement, re.IGNORECASE)
    return found[1].upper() if found else ""


def temporary(statement: str) -> tuple[str, str] | None:
    """Return name and columns of a global temporary table that is being made."""
    found = re.match(
        r"\s*CREATE GLOBAL TEMPORARY TABLE (\w+)\s*(\(.*\))\s*ON COMMIT DELETE ROWS\s*$",
        statement,
        re.IGNORECASE | re.DOTALL,
    )
    return (found[1].upper(), found[2]) if found else None
