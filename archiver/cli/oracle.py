"""The command `oracle ddl`: what a DBA reviews before an archive comes into an Oracle database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import typer

from archiver import config, registry
from archiver.cli.options import Config, Data
from archiver.config.settings import BackendSettings, Settings
from archiver.model import NotFoundError, parse_time

if TYPE_CHECKING:
    from archiver.backends.sql.dialects.oracle.hybrid import ColdFiles
    from archiver.backends.sql.dialects.oracle.review import Review


def register(app: typer.Typer) -> None:
    """Add the command."""
    oracle = typer.Typer(help="An archive in an Oracle database.", no_args_is_help=True)
    oracle.callback()(lambda: None)
    oracle.command()(ddl)
    app.add_typer(oracle, name="oracle")


def ddl(
    backend: Annotated[
        str | None, typer.Option(help="Name of the backend; the first one in Oracle when left out.")
    ] = None,
    hybrid_before: Annotated[
        str | None, typer.Option(metavar="T", help="Days of the lake before this as external partitions, too.")
    ] = None,
    data: Data = None,
    config_: Config = None,
) -> None:
    """Print the SQL of a backend in Oracle, for review: users, grants, tables, partitions, indexes and retention."""
    settings = config.load(config.locate(config_, data), overrides={"data": str(data) if data else None})
    review = _review(settings, _chosen(settings, backend))
    parts = [*review.accounts(), *review.definitions(), *review.readers(), *review.retention()]
    if hybrid_before is not None:
        parts += review.hybrid(list(_lake(settings)), parse_time(hybrid_before))
    typer.echo("\n\n".join(parts))


def _chosen(settings: Settings, name: str | None) -> BackendSettings:
    for backend in settings.backends:
        url = str((backend.model_extra or {}).get("url", ""))
        if url.startswith("oracle") and name in (None, backend.name):
            return backend
    raise NotFoundError(
        f"no backend {'in Oracle' if name is None else repr(name) + ' in Oracle'}: give one of kind sql "
        "the url oracle+oracledb://user@host:1521?service_name=name, and name the file with --config"
    )


def _review(settings: Settings, backend: BackendSettings) -> Review:
    from sqlalchemy import make_url

    from archiver.backends.sql.dialects.oracle.review import Review
    from archiver.backends.sql.options import SqlOptions
    from archiver.backends.sql.tables import Tables

    options = backend.options(registry.BACKENDS)
    assert isinstance(options, SqlOptions)
    groups = [group.to_model() for group in settings.groups if backend.name in group.backends]
    return Review(make_url(options.url).username or "forebay", Tables(options.prefix), groups)


def _lake(settings: Settings) -> Iterator[ColdFiles]:
    """Yield the files of every lake of the archive, by group and day, as its log names them now."""
    from deltalake import DeltaTable

    from archiver.backends.parquet.options import ParquetOptions
    from archiver.backends.sql.dialects.oracle.hybrid import ColdFiles

    for backend in settings.backends:
        if backend.kind != "parquet":
            continue
        options = backend.options(registry.BACKENDS)
        assert isinstance(options, ParquetOptions)
        root = (settings.data / (options.path or backend.name)).absolute()
        if not DeltaTable.is_deltatable(str(root)):
            continue
        folders: dict[tuple[str, date, Path], list[str]] = {}
        for action in pa.table(DeltaTable(str(root)).get_add_actions(flatten=True)).to_pylist():
            file = root / action["path"]
            key = action["partition.group"], action["partition.day"], file.parent
            folders.setdefault(key, []).append(file.name)
        for (group, day, folder), names in folders.items():
            yield ColdFiles(group, day, str(folder), tuple(names))
