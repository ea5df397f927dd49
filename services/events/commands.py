"""Commands about rules and alarms: ``forebay rules …``, ``forebay alarms``, ``forebay events …``."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from analytics.events.event import Event
from archiver.cli.face import Face, connect, settings_of
from archiver.cli.options import Config, Data, From, To, table
from archiver.model import Interval, InvalidInputError, NotFoundError, SampleBatch, parse_time
from archiver.model.time import now
from archiver.query import Query
from archiver.query.shape import samples_in

rules = typer.Typer(help="Rules over samples: check them, try them on the past.", no_args_is_help=True)
events = typer.Typer(help="The event engine, beside the archive's process.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="Rules in TOML, YAML or JSON.")]
_COLUMNS = ("time", "rule", "element", "kind", "value")


@rules.command("check")
def check_rules(file: File) -> None:
    """Validate a file of rules, and say in words what each does; every problem with key, value and fix otherwise."""
    from analytics.events.rules.loading import load
    from analytics.events.rules.programs import words_of

    for rule in load(file):
        typer.echo(f"{rule.name}: {words_of(rule)}")


@rules.command("test")
def try_rules(
    file: File,
    start: From = "now-1d",
    end: To = "now",
    data: Data = None,
    config_: Config = None,
) -> None:
    """Tell what rules would have found in the past: CSV, a line per event; how many alarms a day on the error stream.

    Nothing is written and nobody is told. In front of an archive that runs, it asks that one.
    """
    from analytics.events.rules.loading import load
    from services.events.trial import summary, try_out

    loaded = load(file)
    at = now()
    interval = Interval(parse_time(start, at=at), parse_time(end, at=at))
    if interval.end <= interval.start:
        raise InvalidInputError(f"--to {end} is not after --from {start}: swap them")
    found: list[Event] = []
    with connect(config_, data) as face:
        kinds = {row["element"]: row["kind"] for row in face.elements("*")}
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for event in try_out(loaded, kinds, lambda query: _samples(face, query, kinds), interval):
            writer.writerow(_line(event))
            found.append(event)
    rows = summary(loaded, found, interval)
    typer.echo(table([{**row, "events": _counted(row["events"])} for row in rows]), nl=False, err=True)


def alarms(
    state: Annotated[
        list[str] | None, typer.Option(help="A state, active or standing; repeatable; all when left out.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="The alarms as they are, a line each.")] = False,
    data: Data = None,
    config_: Config = None,
) -> None:
    """List alarms, those that are owed something and the most urgent first."""
    rows = _alarms(config_, data, state or [])
    if json_:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    shown = ("came", "state", "class", "rule", "key", "text", "id")
    typer.echo(table([{name: row[name] for name in shown} for row in rows]), nl=False)


@events.callback()
def _events() -> None:
    """Keep `worker` a command of its own."""


@events.command("worker")
def run_worker(
    config_: Config = None,
    data: Data = None,
    metrics_port: Annotated[int | None, typer.Option(help="Tell Prometheus at this port what it does.")] = None,
    metrics_host: Annotated[str, typer.Option(help="Address of that port.")] = "127.0.0.1",
) -> None:
    """Run the rules of an archive whose journal is on Kafka, together with the other workers; SIGTERM stops it."""
    from services.events.faust.running import run

    run(settings_of(config_, data, create=True), metrics_host, metrics_port)


def _alarms(config: Path | None, data: Path | None, states: list[str]) -> list[dict[str, Any]]:
    """Ask the archive that runs, or look into the data base of one that does not."""
    from services.events.listing import listed
    from services.events.rows import alarm_row
    from services.events.store import FILE, EventStore

    settings = settings_of(config, data, create=False)
    path = settings.data / FILE
    if not path.exists():
        raise NotFoundError(f"{path} is not there: no rule has run in this archive")
    store = EventStore(path)
    try:
        return [alarm_row(alarm) for alarm in listed(store.alarms(), states)]
    finally:
        store.close()


def _samples(face: Face, query: Query, kinds: Mapping[str, str]) -> Iterator[SampleBatch]:
    """Yield the samples of a query: those of one kind after the other, as the columns of an answer hold one."""
    by_kind: dict[str, list[str]] = {}
    for name in query.elements:
        by_kind.setdefault(kinds[name], []).append(name)
    for names in by_kind.values():
        stream = pa.BufferReader(b"".join(face.query(replace(query, elements=tuple(names)), "arrow")))
        with pa.ipc.open_stream(stream) as reader:
            yield from (samples_in(batch) for batch in reader if batch.num_rows)


def _line(event: Event) -> tuple[object, ...]:
    row = event.to_row()
    return row["time"], event.rule, event.key, event.kind, "" if event.value is None else event.value


def _counted(events: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in events.items()) or "none"
