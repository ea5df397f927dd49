"""The command that compares two backends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from archiver.cli.face import connect
from archiver.cli.options import Config, Data, table
from archiver.model import format_time, parse_interval
from archiver.model.time import ALWAYS
from archiver.pipeline.verification import Plan
from archiver.progress import counting

DIFFERENT = 1


class Form(StrEnum):
    """Forms of the report."""

    TEXT = "text"
    JSON = "json"


def verify(
    one: Annotated[str, typer.Argument(metavar="A", help="A backend.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The backend it is compared with.")],
    start: Annotated[
        str, typer.Option("--from", metavar="T", help="Start: ISO-8601 with a zone, or now-1h; the oldest sample.")
    ] = "",
    end: Annotated[str, typer.Option("--to", metavar="T", help="End, not included; the newest sample.")] = "",
    element: Annotated[list[str] | None, typer.Option(help="Only these: names, aliases or globs.")] = None,
    versions: Annotated[bool, typer.Option(help="Compare all versions of corrected samples.")] = False,
    repair: Annotated[
        str | None, typer.Option(metavar="A|B", help="Fill this one from the other; nothing is deleted.")
    ] = None,
    shown: Annotated[int, typer.Option(help="Most differing samples that are named; all are counted.", min=0)] = 20,
    format_: Annotated[Form, typer.Option("--format", help="text or json.")] = Form.TEXT,
    data: Data = None,
    config_: Config = None,
) -> None:
    """Compare two backends, sample by sample where they differ. Exit status: 0 they are the same, 1 they differ."""
    interval = parse_interval(start or format_time(ALWAYS.start), end or format_time(ALWAYS.end))
    with connect(config_, data) as face, counting("verifying", "segments") as progress:
        report = face.verify((one, other), Plan(interval, element, versions, shown=shown), repair, progress)
    text = json.dumps(report, indent=2, ensure_ascii=False) if format_ is Form.JSON else "\n".join(_lines(report))
    typer.echo(text)
    if not report["same"]:
        raise typer.Exit(DIFFERENT)


def _lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield the report in words."""
    counts = " and ".join(f"{rows} samples of {name}" for name, rows in report["compared"].items())
    yield f"compared {counts}, received until {report['received_until']}"
    different = [segment for segment in report["segments"] if not segment["same"]]
    if different:
        yield table([_row(segment) for segment in different]).rstrip("\n")
    counted = [f"only in {name}: {count}" for name, count in report["only_in"].items()]
    if any(report["only_in"].values()) or report["changed"]:
        yield f"{', '.join(counted)}, changed: {report['changed']}"
    for sample in report["samples"]:
        yield "  " + _sample(sample, report["backends"])
    for exempt in report["exempt"]:
        count = "" if exempt["samples"] is None else f"{exempt['samples']} samples"
        where = " ".join(part for part in (count, f"of {exempt['backend']}" if exempt["backend"] else "") if part)
        yield f"not compared ({exempt['cause']}){f', {where}' if where else ''}: {exempt['reason']}"
    if report["repaired"] is not None:
        yield "repaired " + " ".join(f"{name}={value}" for name, value in report["repaired"].items())
    yield "they are the same" if report["same"] else f"they differ in {report['remaining']} samples"


def _row(segment: dict[str, Any]) -> dict[str, Any]:
    return {
        "differing segment": f"{segment['start']} to {segment['end']}",
        "groups": ", ".join(segment["groups"]),
        **segment["rows"],
    }


def _sample(sample: dict[str, Any], backends: list[str]) -> str:
    contents = [
        f"{name} {sample[name]['value']!r} status {sample[name]['status']}" for name in backends if name in sample
    ]
    number = f" #{sample['sequence']}" if sample["sequence"] else ""
    return f"{sample['element']} {sample['source_time']}{number} {sample['what']}: {'; '.join(contents)}"
