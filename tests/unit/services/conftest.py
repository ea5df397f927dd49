"""Requests to an application without a server."""

import asyncio

import httpx
import pytest


@pytest.fixture
def request_to():
    """Send one request to an ASGI application; an error of the application is answered as a server would."""

    def send(app, method, path, **arguments):
        async def once():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                answer = await client.request(method, path, **arguments)
            await asyncio.get_running_loop().shutdown_asyncgens()  # a body that was not read to its end
            return answer

        return asyncio.run(once())

    return send
