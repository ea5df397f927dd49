#!/usr/bin/env python3
"""Print docs/reference/command-line.md from the commands themselves; redirect it there."""

from __future__ import annotations

from collections.abc import Iterator

import typer

from archiver.cli.main import build

HEAD = """# Command line

Every command and option of `forebay`; printed by `scripts/command_line.py`, and a test compares it with the commands.

Every command works with and without a running `forebay up` on its data directory, and answers the same. It goes by the
file of `--config`; else by `forebay.toml` in the data directory; else by what the archive there last ran with.

A time is ISO-8601 with a zone (`2026-01-01T00:00:00Z`), `now`, or `now-1h`. A duration is a number with a unit
(`200ms`, `10s`, `1h30m`, `7d`).

| exit status | meaning |
|---|---|
| 0 | done; for a query also when nothing was found |
| 1 | it failed: a file, a disk, a backend, or a directory that another process uses and gives no address for |
| 2 | it was asked wrongly: an option, a time, a name that does not exist, or a configuration that cannot be |

Messages go to the error stream, answers to the output, so that an answer can be piped.
"""


def main() -> None:
    """Print the page."""
    print(HEAD, end="")
    root = typer.main.get_command(build())
    for name, command in sorted(leaves(root, "")):
        print("\n" + "\n".join(section(name, command)))


def leaves(command: typer.core.TyperCommand, prefix: str) -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Yield every command that does something, with its words."""
    for name, child in getattr(command, "commands", {}).items():
        words = f"{prefix} {name}".strip()
        if hasattr(child, "commands"):
            yield from leaves(child, words)
        else:
            yield words, child


def section(name: str, command: typer.core.TyperCommand) -> list[str]:
    """Return the lines of one command."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    words = " ".join((p.metavar or str(p.name).upper()) for p in arguments)
    lines = [f"## {name}", "", f"`forebay {name}{' ' + words if words else ''} [OPTIONS]`", "", str(command.help)]
    if not options:
        return lines
    lines += ["", "| option | meaning |", "|---|---|"]
    return lines + [f"| `{', '.join(p.opts)}` | {meaning(p)} |" for p in options]


def meaning(option: typer.core.TyperOption) -> str:
    """Return what an option says of itself, whether it must be given and may be repeated."""
    parts = [(option.help or "").rstrip(".")]
    parts += ["required"] if option.required else []
    parts += ["may be repeated"] if option.multiple else []
    return "; ".join(part for part in parts if part)


if __name__ == "__main__":
    main()
