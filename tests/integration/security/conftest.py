"""An archive of two groups, A and B, with something of each in every corner, and keys of every kind."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import Metadata, SampleBatch
from archiver.security import Role
from services.archive.app import create_app

BACKENDS = [{"name": "lake", "kind": "memory"}, {"name": "warm", "kind": "memory"}]
GROUPS = [
    {"name": "A", "elements": ["A:*"], "backends": ["lake", "warm"]},
    {"name": "B", "elements": ["B:*"], "backends": ["lake", "warm"]},
]
START = 10**18


class Doors:
    """The application of an archive, with its lifespan, and keys to it."""

    def __init__(self, archive: Archive, local_key: str | None = None) -> None:
        self.archive = archive
        self.app = create_app(archive, archive.settings.server, local_key)
        self.guard = self.app.state.guard
        self._runner = asyncio.Runner()
        self._life = self.app.router.lifespan_context(self.app)
        self._runner.run(self._life.__aenter__())

    def close(self) -> None:
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.run(self._runner.get_loop().shutdown_asyncgens())  # bodies that were not read to their end
        self._runner.close()

    def key(self, *roles: Role, groups: list[str] | None = None, **more: Any) -> str:
        """Make a key and return its text."""
        text, _ = self.guard.keys.create(f"k{len(self.guard.keys)}", roles, groups, **more)
        return text

    def request(self, method: str, path: str, key: str | None = None, **arguments: Any) -> httpx.Response:
        """Send one request; a body that is a list or a mapping goes as JSON."""
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **arguments.pop("headers", {})}
        address = arguments.pop("address", "127.0.0.1")

        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, headers=headers, **arguments)

        return self._runner.run(once())

    def get(self, path: str, key: str | None = None, **params: Any) -> httpx.Response:
        """Send a GET."""
        return self.request("GET", path, key, params=params)

    def audit(self) -> list[dict[str, Any]]:
        """Return what is in the audit log."""
        from archiver.security.chain import records_of

        return list(records_of(self.archive.directory))


def fill(archive: Archive) -> None:
    """Put samples, metadata and a dead letter of each group in."""
    for group in ("A", "B"):
        names = [f"{group}:one", f"{group}:two"]
        for number, name in enumerate(names):
            times = [START + i for i in range(5)]
            archive.intake.submit(SampleBatch.from_columns(name, times, [number + 0.5] * 5)).result()
        archive.catalog.describe(names[0], Metadata(description=f"secret of {group}", aliases=(f"{group} alias",)))
        letter = SampleBatch.from_columns(names[0], [START + 100], [1.0])
        archive.dead_letters.add("warm", group, f"refused {group}", letter)
    archive.flush()


@pytest.fixture
def make_doors(tmp_path):
    """Give a function that opens an archive and its doors; what is open at the end is closed."""
    opened: list[tuple[Archive, Doors]] = []

    def make(*, filled: bool = True, local_key: str | None = None, **document: Any) -> Doors:
        settings = config.parse(
            {"data": str(tmp_path / "data"), "backends": BACKENDS, "groups": GROUPS, **json.loads(json.dumps(document))}
        )
        archive = Archive(settings).open()
        archive.wait_ready()
        doors = Doors(archive, local_key)
        opened.append((archive, doors))
        if filled:
            fill(archive)
        return doors

    yield make
    for archive, doors in opened:
        doors.close()
        archive.close(drain=False)


@pytest.fixture
def doors(make_doors):
    """Give the doors of an archive with the defaults."""
    return make_doors()
