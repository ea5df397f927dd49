"""Commands that change something: dead-letters, copy, verify, smooth."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer

from archiver.cli.face import connect
from archiver.cli.mending import read_mended
from archiver.cli.options import Config, Data, From, To, table
from archiver.cli.verifying import verify
from archiver.model import (
    ConfigurationError,
    InvalidInputError,
    SampleBatch,
    Smoothing,
    SmoothingKind,
    parse_duration,
    parse_interval,
)
from archiver.progress import counting
from archiver.query import Answer, Query
from archiver.query.formats import write
from archiver.smoothing.whatif import what_if as replay_smoothing
from archiver.sources.replay import long_table


def register(app: typer.Typer) -> None:
    """Add the commands."""
    letters = typer.Typer(help="Samples that a backend refused for good.", no_args_is_help=True)
    letters.command("list")(list_letters)
    letters.command("show")(show_letter)
    letters.command("replay")(replay_letter)
    app.add_typer(letters, name="dead-letters")
    app.command()(copy)
    app.command()(verify)
    app.command()(smooth)


def list_letters(
    all_: Annotated[bool, typer.Option("--all", help="Also those that were replayed.")] = False,
    data: Data = None,
    config_: Config = None,
) -> None:
    """List dead letters: which backend refused how many samples, and why."""
    with connect(config_, data) as face:
        typer.echo(table(face.dead_letters(replayed=all_)), nl=False)


def show_letter(letter: int, data: Data = None, config_: Config = None) -> None:
    """Print the samples of a dead letter as CSV: mend them, and give the file to `dead-letters replay --mended`."""
    with connect(config_, data) as face:
        for chunk in write(Answer.of(face.dead_letter(letter)), "csv"):
            sys.stdout.buffer.write(chunk)


def replay_letter(
    letter: int,
    mended: Annotated[Path | None, typer.Option(help="CSV as `show` prints it, mended.")] = None,
    data: Data = None,
    config_: Config = None,
) -> None:
    """Send the samples of a dead letter, or mended ones in their place, through the intake again."""
    with connect(config_, data) as face:
        samples = read_mended(mended, face.dead_letter(letter)) if mended else None
        counts = face.replay_dead_letter(letter, samples)
        typer.echo(" ".join(f"{column}={count}" for column, count in counts.items()))


def copy(
    source: str,
    target: str,
    start: From,
    end: To = "now",
    element: Annotated[list[str] | None, typer.Option(help="Only these elements.")] = None,
    data: Data = None,
    config_: Config = None,
) -> None:
    """Fill one backend from another; what is there already is not stored twice."""
    with connect(config_, data) as face, counting("copying", "elements") as progress:
        receipt = face.copy(source, target, parse_interval(start, end), element, progress)
    typer.echo(" ".join(f"{name}={count}" for name, count in receipt.items()))


def smooth(
    element: Annotated[list[str], typer.Argument(metavar="ELEMENT...", help="Names or aliases.")],
    start: From,
    end: To = "now",
    what_if: Annotated[bool, typer.Option("--what-if", help="Replay history; nothing is changed.")] = False,
    kind: Annotated[
        SmoothingKind, typer.Option(help="The rule, as `smoothing.kind` of a group.")
    ] = SmoothingKind.VALUE,
    tolerance: Annotated[list[float] | None, typer.Option(help="Repeat it to compare several.")] = None,
    min_interval: Annotated[str, typer.Option(metavar="DURATION", help="For the kinds with time.")] = "0s",
    heartbeat: Annotated[str, typer.Option(metavar="DURATION", help="Longest silence; 0s is never.")] = "0s",
    data: Data = None,
    config_: Config = None,
) -> None:
    """Say what a smoothing would keep of the past: samples, bytes, largest and RMS error."""
    if not what_if:
        raise InvalidInputError("smoothing is set in the configuration; add --what-if to see what one would keep")
    try:
        rules = [
            Smoothing(kind, value, parse_duration(min_interval), parse_duration(heartbeat))
            for value in tolerance or [0.0]
        ]
    except ConfigurationError as exc:
        raise InvalidInputError("; ".join(f"--{problem}" for problem in exc.problems)) from exc
    with connect(config_, data) as face:
        chunks = face.query(Query(tuple(element), parse_interval(start, end)), "arrow")
        rows = replay_smoothing(_batches(b"".join(chunks)), rules).to_pylist()
    typer.echo(table(rows), nl=False)


def _batches(payload: bytes) -> Iterator[SampleBatch]:
    with pa.ipc.open_stream(payload) as reader:
        for batch in reader:
            yield long_table(pa.Table.from_batches([batch]))
