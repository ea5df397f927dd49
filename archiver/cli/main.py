"""The root command: options, sub-commands (those of other packages come in by entry point), and errors in words."""

from __future__ import annotations

import logging
import sys

import typer

from archiver import registry
from archiver.cli import asking, doing, loading, oracle, securing
from archiver.model import ConfigurationError, ForebayError, InvalidInputError, NotFoundError

USAGE_ERROR = 2


def build() -> typer.Typer:
    """Return the application with every command that is installed."""
    app = typer.Typer(
        name="forebay",
        help="An open archiver for industrial control systems.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    asking.register(app)
    loading.register(app)
    doing.register(app)
    oracle.register(app)
    securing.register(app)
    for name in registry.names(registry.COMMANDS):
        command = registry.load(registry.COMMANDS, name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Run the command line; an error that has a reason is shown as that reason, not as a trace."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        build()(prog_name="forebay")  # whatever started it
    except ForebayError as exc:
        typer.echo(f"forebay: {exc}", err=True)
        usage = isinstance(exc, (ConfigurationError, InvalidInputError, NotFoundError))
        sys.exit(USAGE_ERROR if usage else 1)
    except OSError as exc:  # a file that cannot be read or written: its name and why
        typer.echo(f"forebay: {exc.filename or 'input or output'}: {exc.strerror or exc}", err=True)
        sys.exit(1)
