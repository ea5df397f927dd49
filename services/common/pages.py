"""Static files of another service's package, served without importing it."""

from __future__ import annotations

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_HEADERS = {
    "Cache-Control": "no-cache",  # ask each time: the answer is 304 until the program is upgraded
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Pages(StaticFiles):
    """The folder ``static`` of a package, ``index.html`` for a folder.

    Parameters
    ----------
    package : str
        Dotted name.
    """

    def __init__(self, package: str) -> None:
        super().__init__(packages=[(package, "static")], html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return a file, with headers that let it load nothing from elsewhere."""
        response = await super().get_response(path, scope)
        response.headers.update(_HEADERS)
        return response
