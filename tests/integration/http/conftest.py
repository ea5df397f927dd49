"""The application of a real archive in this process, asked without a socket."""

import asyncio
import json

import httpx
import pytest

from archiver import config
from archiver.bootstrap import Archive
from services.archive.app import create_app

BACKENDS = [{"name": "lake", "kind": "memory"}, {"name": "warm", "kind": "memory"}]
GROUPS = [{"name": "all", "elements": ["*"], "backends": ["lake", "warm"]}]


class Service:
    """The application, with its lifespan, on a loop of its own."""

    def __init__(self, archive, server):
        self.archive = archive
        self._app = create_app(archive, server)
        self._runner = asyncio.Runner()
        self._life = self._app.router.lifespan_context(self._app)
        self._runner.run(self._life.__aenter__())

    def close(self):
        self._runner.run(self._life.__aexit__(None, None, None))
        self._runner.run(self._runner.get_loop().shutdown_asyncgens())  # bodies that were not read to their end
        self._runner.close()

    def request(self, method, path, **arguments):
        async def once():
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **arguments)

        return self._runner.run(once())

    def get(self, path, **params):
        accept = params.pop("accept", None)
        return self.request("GET", path, params=params, headers={"Accept": accept} if accept else None)

    def post(self, path, content, media_type="application/json", **headers):
        body = json.dumps(content).encode() if isinstance(content, (list, dict)) else content
        return self.request("POST", path, content=body, headers={"Content-Type": media_type, **headers})

    def totals(self, **params):
        """Return the ledger's counts by lane and outcome."""
        found = {}
        for total in self.get("/v1/ledger", **params).json()["totals"]:
            key = (total["lane"], total["outcome"])
            found[key] = found.get(key, 0) + total["count"]
        return found

    @staticmethod
    def rows(count=3, element="T1", start=10**18):
        """Return samples a nanosecond apart, as JSON has them."""
        return [{"element": element, "source_time": start + i, "value": i + 0.5, "status": i} for i in range(count)]


@pytest.fixture
def service(tmp_path):
    document = {"data": str(tmp_path), "backends": BACKENDS, "groups": GROUPS, "server": {"max_body_bytes": 100_000}}
    settings = config.parse(document)
    with Archive(settings) as archive:
        archive.wait_ready()
        service = Service(archive, settings.server)
        try:
            yield service
        finally:
            service.close()
