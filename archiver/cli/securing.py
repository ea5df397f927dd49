"""Commands about who may come in, and what was done: keys and the audit log. They work beside a running archive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from archiver.cli.face import settings_of
from archiver.cli.options import Config, Data, table
from archiver.config import Settings
from archiver.model import InvalidInputError, PermanentError, parse_duration
from archiver.model.near import did_you_mean
from archiver.model.time import now
from archiver.security import AuditLog, Caller, Keys, Role, verify
from archiver.security.chain import records_of


def register(app: typer.Typer) -> None:
    """Add the commands."""
    keys = typer.Typer(help="Keys of the HTTP interface: who may come in, and what each may do.", no_args_is_help=True)
    keys.command("create")(create_key)
    keys.command("list")(list_keys)
    keys.command("revoke")(revoke_key)
    app.add_typer(keys, name="keys")
    audit = typer.Typer(help="The log of what was changed, by whom, from where.", no_args_is_help=True)
    audit.command("show")(show_audit)
    audit.command("verify")(verify_audit)
    app.add_typer(audit, name="audit")


def create_key(
    name: Annotated[str, typer.Argument(help="Who has it, for lists and the audit log.")],
    role: Annotated[list[Role], typer.Option(help="What it allows; repeatable.")],
    group: Annotated[
        list[str] | None, typer.Option(help="Only elements of this archive group; repeatable, all when left out.")
    ] = None,
    expires: Annotated[str, typer.Option(metavar="DURATION", help="How long it counts, such as 90d.")] = "",
    data: Data = None,
    config_: Config = None,
) -> None:
    """Make a key and print it, once: only its hash is kept. A running archive knows it at once."""
    settings = settings_of(config_, data, create=True)
    if group:
        _check_groups(group, settings)
    until = now() + parse_duration(expires) if expires else None
    keys, roles = Keys(settings.data), sorted(set(role))
    is_first = not len(keys)
    what = {"name": name, "roles": list(roles), "groups": group, "expires": expires or None}
    with AuditLog(settings.data).change(Caller.here(), "create key", **what):
        text, _ = keys.create(name, roles, group or None, until)
    typer.echo(text)
    typer.echo("This is the only time that it is shown.", err=True)
    if is_first:
        typer.echo("It is the first one: from now on whoever asks this archive over HTTP needs a key.", err=True)


def list_keys(data: Data = None, config_: Config = None) -> None:
    """List the keys, those that have ended too, without what makes them keys."""
    settings = settings_of(config_, data, create=False)
    typer.echo(table([key.to_row() for key in Keys(settings.data).all()]), nl=False)


def revoke_key(name: str, data: Data = None, config_: Config = None) -> None:
    """Make a key invalid, from the next request on."""
    settings = settings_of(config_, data, create=False)
    with AuditLog(settings.data).change(Caller.here(), "revoke key", name=name):
        Keys(settings.data).revoke(name)
    typer.echo(f"{name} is revoked")


def show_audit(
    last: Annotated[int, typer.Option(min=1, help="How many records, the newest at the end.")] = 50,
    actor: Annotated[str, typer.Option(help="Only of this actor, such as key:NAME.")] = "",
    action: Annotated[str, typer.Option(help="Only this action, such as copy.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="The records as they are, a line each.")] = False,
    data: Data = None,
    config_: Config = None,
) -> None:
    """Show what was changed, by whom, from where, and what came of it."""
    settings = settings_of(config_, data, create=False)
    found = [
        record
        for record in records_of(settings.data)
        if actor in ("", record["actor"]) and action in ("", record["action"])
    ][-last:]
    if json_:
        typer.echo("".join(json.dumps(record) + "\n" for record in found), nl=False)
        return
    shown = ("number", "time", "actor", "origin", "action", "what", "result")
    rows = [
        {name: _plain(_words(record[name]) if name == "what" else record[name]) for name in shown} for record in found
    ]
    typer.echo(table(rows), nl=False)


def verify_audit(
    head: Annotated[
        str, typer.Option(metavar="HASH", help="Of a record, as an earlier verification gave it: it has to be there.")
    ] = "",
    data: Data = None,
    config_: Config = None,
) -> None:
    """Say whether the audit log is as it was written, or which record was changed, removed or moved."""
    settings = settings_of(config_, data, create=False)
    verdict = verify(settings.data, head or None)
    for fault in verdict.faults:
        typer.echo(f"{fault.place}: {fault.what}")
    if verdict.faults:
        raise PermanentError(f"the audit log is not as it was written: {len(verdict.faults)} faults")
    typer.echo(f"{verdict.records} records, as they were written; the last one has the hash {verdict.head}")


def _check_groups(names: Sequence[str], settings: Settings) -> None:
    known = [group.name for group in settings.groups]
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, f"there are {', '.join(known)}")
            raise InvalidInputError(f"--group {name}: there is no archive group of this name; {hint}")


def _plain(value: object) -> object:
    """Return a text without what would move the cursor of a terminal: parts of it came from whoever asked."""
    if not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def _words(what: dict[str, object]) -> str:
    return " ".join(f"{name}={json.dumps(value)}" for name, value in what.items() if value is not None)
