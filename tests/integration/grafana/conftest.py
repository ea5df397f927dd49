"""An archive with a known course of values, and its application."""

from __future__ import annotations

import asyncio
import json

import httpx
import numpy as np
import pytest

from archiver import config
from archiver.bootstrap import Archive
from archiver.model import Kind, Metadata, SampleBatch, Status
from services.archive.app import create_app

T0 = 1_767_225_600  # 2026-01-01T00:00:00Z, a multiple of every step in the tests
S = 10**9
BACKENDS = [{"name": "lake", "kind": "memory"}, {"name": "warm", "kind": "memory"}]
GROUPS = [
    {"name": "vacuum", "elements": ["VAC:*"], "backends": ["lake"]},
    {"name": "rest", "elements": ["*"], "exclude": ["VAC:*"], "backends": ["lake", "warm"]},
]


class Board:
    """The application as a dashboard asks it."""

    def __init__(self, archive):
        self.archive = archive
        self.app = create_app(archive, archive.settings.server)
        self._runner = asyncio.Runner()
        self._life = self.app.router.lifespan_context(self.app)
        self._runner.run(self._life.__aenter__())

    def close(self):
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.run(self._runner.get_loop().shutdown_asyncgens())
        self._runner.close()

    def request(self, method, path, **arguments):
        async def once():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **arguments)

        return self._runner.run(once())

    def get(self, path, **params):
        return self.request("GET", path, params=params)

    def data(self, path, **params):
        """Return the data of an answer in Prometheus' form."""
        answer = self.get(f"/api/v1/{path}", **params)
        assert answer.status_code == 200, answer.text
        document = answer.json()
        assert document["status"] == "success"
        return document["data"]

    def range(self, query, start=0, end=60, step=10, **more):
        """Return the values of each series by element, times relative to T0."""
        found = self.data("query_range", query=query, start=T0 + start, end=T0 + end, step=step, **more)
        assert found["resultType"] == "matrix"
        return {
            one["metric"].get("element", ""): [(time - T0, float(value)) for time, value in one["values"]]
            for one in found["result"]
        }


def fill(archive):
    """Send VAC:P1 (0.5 to 59.5 at full seconds), VAC:P2 (disconnected from 30 s), a text, and an old value."""
    times = [(T0 + i) * S for i in range(60)]
    archive.intake.submit(SampleBatch.from_columns("VAC:P1", times, [i + 0.5 for i in range(60)])).result()
    gone = np.array([0, 0, int(Status.DISCONNECTED)], np.uint64)
    archive.intake.submit(
        SampleBatch.from_columns("VAC:P2", [T0 * S, (T0 + 15) * S, (T0 + 30) * S], [1.0, 2.0, None], status=gone)
    ).result()
    archive.intake.submit(SampleBatch.from_columns("host.cpu", [(T0 - 3600) * S], [7])).result()
    archive.intake.submit(SampleBatch.from_columns("note", [T0 * S], ['hello, "you"'])).result()
    archive.catalog.describe(
        "VAC:P1", Metadata(kind=Kind.FLOAT, unit="mbar", description="pump, inlet", aliases=("P one",))
    )
    archive.flush()


@pytest.fixture(scope="session")
def board(tmp_path_factory):
    """Give the application over an archive of a minute's samples."""
    document = {"data": str(tmp_path_factory.mktemp("board")), "backends": BACKENDS, "groups": GROUPS}
    with Archive(config.parse(document)) as archive:
        archive.wait_ready()
        fill(archive)
        board = Board(archive)
        try:
            yield board
        finally:
            board.close()


def told(answer):
    """Return an error in Prometheus' form: status, its type, what it says."""
    document = json.loads(answer.content)
    assert document["status"] == "error"
    return answer.status_code, document["errorType"], document["error"]
