"""The command that brings recorded data in: replay."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from archiver.cli.face import Face, connect
from archiver.cli.options import Config, Data, table
from archiver.config.problems import explain
from archiver.model import BackpressureError, InvalidInputError, SampleBatch
from archiver.progress import counting
from archiver.sources.replay import Refusal, Replay, ReplayOptions, ReplaySource

_SHOWN = 20
_SETTLE_S = 60.0


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    file: Annotated[Path, typer.Argument(help="Parquet, or text with a column per field (CSV, also .gz).")],
    element: Annotated[
        str, typer.Option(help="Name; {column} is the value column, {NAME} the content of column NAME.")
    ] = "{column}",
    time_: Annotated[list[str] | None, typer.Option("--time", help="Columns that together give the time.")] = None,
    value: Annotated[list[str] | None, typer.Option(help="Value columns; all others when left out.")] = None,
    kind: Annotated[str, typer.Option(help="auto, float, int, uint, bool or text.")] = "auto",
    speed: Annotated[float, typer.Option(help="1 is as recorded, 0 as fast as it goes.")] = 0.0,
    time_format: Annotated[str, typer.Option(help="As of strptime; without one, ISO-8601.")] = "",
    time_unit: Annotated[str | None, typer.Option(help="The time is a number of these, such as 1ms.")] = None,
    time_start: Annotated[str, typer.Option(help="Where such numbers begin.")] = "1970-01-01T00:00:00Z",
    time_zone: Annotated[str, typer.Option(help="Of times that have none.")] = "UTC",
    missing: Annotated[list[str] | None, typer.Option(help="Markers of a missing value, such as -200.")] = None,
    skip_missing: Annotated[bool, typer.Option(help="Leave missing values out.")] = False,
    delimiter: Annotated[str, typer.Option(help="One character, or whitespace; found out when left out.")] = "",
    columns: Annotated[list[str] | None, typer.Option(help="Column names of a text file without a header.")] = None,
    decimal: Annotated[str, typer.Option(help="Decimal point.")] = ".",
    encoding: Annotated[str, typer.Option(help="Of a text file.")] = "utf8",
    data: Data = None,
    config_: Config = None,
) -> None:
    """Send a recorded file through the intake; ends with what the ledger says of it."""
    options = _options(
        file=file,
        element=element,
        time=tuple(time_ or ()),
        value=tuple(value or ()),
        kind=kind,
        speed=speed,
        time_format=time_format,
        time_unit=time_unit,
        time_start=time_start,
        time_zone=time_zone,
        missing=tuple(missing or ()),
        skip_missing=skip_missing,
        delimiter=delimiter,
        columns=tuple(columns or ()),
        decimal=decimal,
        encoding=encoding,
    )
    with connect(config_, data, create=True) as face:
        before = _totals(face)
        counts: Counter[str] = Counter()
        if speed:
            asyncio.run(_paced(face, options, counts))
        else:
            _load(face, options, counts)
        _settle(face)
        typer.echo("intake: " + " ".join(f"{column}={count}" for column, count in counts.items()))
        typer.echo("ledger, since the beginning of this replay:")
        typer.echo(table(list(_difference(before, _totals(face)))), nl=False)


def _options(**values: Any) -> ReplayOptions:
    try:
        return ReplayOptions.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as exc:
        problems = [problem for error in exc.errors() for problem in _problems(error)]
        raise InvalidInputError("; ".join(problems)) from exc


def _problems(error: Any) -> list[str]:
    """Return an error of the options in the words of the command line."""
    if not error["loc"]:  # of several options together
        text: str = error["msg"].removeprefix("Value error, ")
        return [re.sub(r"\b[a-z]+_[a-z]+\b", lambda name: "--" + name[0].replace("_", "-"), text)]
    problems = [problem.partition(" ") for problem in explain(error, ReplayOptions)]
    return [f"--{key.replace('_', '-')} {rest}" for key, _, rest in problems]


def _load(face: Face, options: ReplayOptions, counts: Counter[str]) -> None:
    source = Replay(options)
    with counting(f"replaying {options.file.name}", "bytes") as progress:
        for chunk in source:
            _report(options.file, chunk.refused, counts)
            if chunk.batch.num_rows:
                counts.update(_submit(face, chunk.batch))
            progress(chunk.done, source.total)


async def _paced(face: Face, options: ReplayOptions, counts: Counter[str]) -> None:
    async def push(batch: SampleBatch) -> None:
        counts.update(await asyncio.to_thread(face.submit, batch))

    await ReplaySource("replay", options).run(push)


def _submit(face: Face, batch: SampleBatch) -> dict[str, int]:
    while True:
        try:
            return face.submit(batch)
        except BackpressureError as exc:
            time.sleep(exc.retry_after_s)  # the archive is full: wait, and send the same again


def _report(file: Path, refused: tuple[Refusal, ...], counts: Counter[str]) -> None:
    for refusal in refused:
        counts["refused rows"] += 1
        if counts["refused rows"] <= _SHOWN:
            typer.echo(f"{file}, line {refusal.line}: {refusal.reason}", err=True)
        elif counts["refused rows"] == _SHOWN + 1:
            typer.echo("more rows were refused; they are counted at the end", err=True)


def _settle(face: Face) -> None:
    """Wait until every backend that answers has what was sent."""
    deadline = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline:
        waiting = [row for row in face.backends() if row["lag_samples"] and row["state"] != "retrying"]
        if not waiting:
            return
        time.sleep(0.1)


def _totals(face: Face) -> Counter[tuple[str, str, str, str]]:
    return Counter({(r["lane"], r["group"], r["outcome"], r["reason"]): r["count"] for r in face.ledger()})


def _difference(before: Counter[Any], after: Counter[Any]) -> Iterator[dict[str, Any]]:
    for key, count in sorted(after.items()):
        if count != before[key]:
            yield {**dict(zip(("lane", "group", "outcome", "reason"), key, strict=True)), "count": count - before[key]}
