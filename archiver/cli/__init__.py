"""The command line, ``forebay``: every command works with and without a running ``forebay up`` on its directory."""

from archiver.cli.main import main

__all__ = ["main"]
