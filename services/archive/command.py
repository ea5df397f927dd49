"""The command ``forebay up``: everything in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from archiver import config as configuration
from archiver.config import Settings
from archiver.pipeline.lock import DirectoryInUseError

_USAGE_ERROR = 2


def up(
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Configuration file; else forebay.toml of the data directory, else as last run."),
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Data directory.", show_default="forebay-data")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.", show_default="8000")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")] = None,
) -> None:
    """Run the archive: sources, backends, HTTP and the page. SIGTERM drains and stops, SIGHUP reads the file again."""
    from services.archive.serving import serve

    def read() -> Settings:
        overrides = {"data": str(data) if data else None, "server.port": port, "server.host": host}
        return configuration.load(configuration.locate(config, data), overrides=overrides)

    try:
        serve(read)
    except DirectoryInUseError as exc:
        where = f" at {exc.info['url']}" if "url" in exc.info else ""
        typer.echo(f"forebay: {exc}, running{where}: stop that one, or give this one its own --data", err=True)
        raise typer.Exit(_USAGE_ERROR) from exc
