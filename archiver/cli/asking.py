"""Commands that read: check, query, explain, backends, ledger, elements."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from archiver import config
from archiver.cli.face import connect
from archiver.cli.options import Config, Data, From, PlanOnly, Ranges, Require, To, table
from archiver.cli.outcome import Rows, outcome_of, remarks
from archiver.cli.planned import plan_lines
from archiver.model import Interval, InvalidInputError, parse_duration, parse_interval, parse_time
from archiver.model.time import now
from archiver.query import Condition, Join, Match, Query, Range, span_of


class Format(StrEnum):
    """Formats of an answer."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"
    ARROW = "arrow"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (check, query, explain, backends, ledger, elements):
        app.command()(command)


def check(path: Annotated[Path, typer.Argument(metavar="CONFIG")]) -> None:
    """Validate a configuration file; every problem is named with key, value and fix."""
    settings = config.load(path, environment={})
    groups = ", ".join(f"{group.name} -> {' and '.join(group.backends)}" for group in settings.groups)
    typer.echo(f"{path} is valid: {len(settings.backends)} backends, {len(settings.groups)} groups ({groups})")


def query(
    element: Annotated[list[str], typer.Argument(metavar="ELEMENT...", help="Names, aliases or globs.")],
    start: Annotated[str, typer.Option("--from", metavar="T", help="Start: ISO-8601 with a zone, or now-1h.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="T", help="End, not included.")] = "now",
    at: Annotated[str, typer.Option(metavar="T", help="The value that held at this instant, instead.")] = "",
    backend: Annotated[str | None, typer.Option(help="Ask this backend only.")] = None,
    range_: Ranges = None,
    group: Annotated[list[str] | None, typer.Option(help="Only samples stored by this archive group.")] = None,
    aggregate: Annotated[list[str] | None, typer.Option(help="count, min, max, mean, time_weighted_mean, …")] = None,
    bucket: Annotated[str, typer.Option(metavar="DURATION", help="Length of a bucket, such as 1h.")] = "",
    before: Annotated[bool, typer.Option(help="Also the last value before the start.")] = False,
    limit: Annotated[int | None, typer.Option(help="Most rows.")] = None,
    cursor: Annotated[str | None, typer.Option(help="Continue an answer that had a limit.")] = None,
    as_of: Annotated[str, typer.Option(metavar="T", help="Only what was known at this instant.")] = "",
    versions: Annotated[bool, typer.Option(help="All versions of corrected samples.")] = False,
    where: Annotated[str, typer.Option(metavar="CONDITION", help="Only where this holds, such as 'Y = 1'.")] = "",
    wide: Annotated[Match | None, typer.Option(help="Elements side by side; which sample counts at a time.")] = None,
    tolerance: Annotated[str, typer.Option(metavar="DURATION", help="How far a sample may be from its row.")] = "",
    step: Annotated[str, typer.Option(metavar="DURATION", help="Rows at multiples of this, such as 1s.")] = "",
    times_of: Annotated[str, typer.Option(metavar="ELEMENT", help="Rows at the times of this element.")] = "",
    points: Annotated[int, typer.Option(help="About so many samples of each element, for a plot.")] = 0,
    require: Require = None,
    plan: PlanOnly = False,
    format_: Annotated[Format, typer.Option("--format", help="csv, json, ndjson, arrow or parquet.")] = Format.CSV,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file.")] = None,
    data: Data = None,
    config_: Config = None,
) -> None:
    """Read samples or aggregates of elements."""
    instant = now()
    ranges = tuple(Range.parse(text, at=instant) for text in range_ or ())
    with connect(config_, data) as face:
        if at:
            _write(face.values_at(element, parse_time(at), backend, format_), output)
            return
        question = Query(
            tuple(element),
            _interval(start, end, ranges, instant),
            ranges=ranges,
            backend=backend,
            groups=tuple(group or ()),
            before=int(before),
            limit=limit,
            cursor=cursor,
            aggregates=tuple(name for text in aggregate or () for name in text.split(",")),
            bucket_ns=parse_duration(bucket) if bucket else 0,
            as_of=parse_time(as_of) if as_of else None,
            versions=versions,
            complete=require == "complete",
            where=Condition.parse(where) if where else None,
            join=Join.parse(wide or "", tolerance, step, times_of),
            points=points,
        )
        if plan:
            _show_plan(face.plan(question), format_)
            return
        _write_answer(Rows(face.query(question, format_), format_), format_, output, element[0])


def _write_answer(rows: Rows, format_: Format, output: Path | None, first: str) -> None:
    written = _write(rows, output)
    if format_ is Format.CSV and written == 1:
        typer.echo(f"no samples; `forebay explain {first} --from … --to …` says what became of them", err=True)
    for line in remarks(rows.outcome or outcome_of(output, format_)):
        typer.echo(line, err=True)


def explain(
    element: Annotated[str, typer.Argument(metavar="ELEMENT", help="Name or alias.")],
    start: From,
    end: To = "now",
    data: Data = None,
    config_: Config = None,
) -> None:
    """Say what became of an element's samples: stored, smoothed, duplicate, rejected, buffered, dead-lettered."""
    with connect(config_, data) as face:
        for sentence in face.explain(element, parse_interval(start, end))["sentences"]:
            typer.echo(sentence)


def backends(data: Data = None, config_: Config = None) -> None:
    """Show every backend: kind, state, position, lag, oldest unflushed age, coverage."""
    with connect(config_, data) as face:
        typer.echo(table(face.backends()), nl=False)


def ledger(data: Data = None, config_: Config = None) -> None:
    """Show how many samples ended in which column of the ledger, by backend, group and reason."""
    with connect(config_, data) as face:
        typer.echo(table(face.ledger()), nl=False)


def elements(
    pattern: Annotated[str, typer.Argument(help="Glob.")] = "*", data: Data = None, config_: Config = None
) -> None:
    """List the elements that match a glob."""
    with connect(config_, data) as face:
        typer.echo(table(face.elements(pattern)), nl=False)


def _show_plan(document: dict[str, Any], format_: Format) -> None:
    if format_ is Format.JSON:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    for line in plan_lines(document):
        typer.echo(line)


def _interval(start: str, end: str, ranges: tuple[Range, ...], at: int) -> Interval:
    if start:
        return parse_interval(start, end, at=at)
    if not ranges:
        raise InvalidInputError("--from is missing: give the start of the time range, such as --from now-1h")
    return span_of(ranges)


def _write(chunks: Iterable[bytes], output: Path | None) -> int:
    """Write an answer to a file or standard output; return the number of lines."""
    lines = 0
    with contextlib.nullcontext(sys.stdout.buffer) if output is None else output.open("wb") as sink:
        for chunk in chunks:
            sink.write(chunk)
            lines += chunk.count(b"\n")
        sink.flush()
    return lines
