"""What a route asks of its caller, as dependencies; a route that declares none cannot be served.

::

    router = APIRouter(prefix="/v1")

    @router.get("/latest")
    def get_latest(archive: Reader, element: list[str]) -> Response:
        return respond(archive.latest(element))
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.openapi.models import HTTPBearer
from fastapi.routing import RouteContext, iter_route_contexts
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from archiver.security import Role
from services.common.errors import ForbiddenError, TooManyFailuresError, UnauthorizedError
from services.common.pages import Pages
from services.common.security.guard import Guard
from services.common.security.view import View


class Permit(SecurityBase):
    """A dependency that lets callers with a role in, and gives them their view of the archive.

    Parameters
    ----------
    role : Role
    influx : bool
        Whether credentials as clients of InfluxDB 1 send them count as well.
    """

    scheme_name = "key"
    model = HTTPBearer(description="an API key, or a token of the configured issuer")

    def __init__(self, role: Role, *, influx: bool = False) -> None:
        self.role = role
        self._influx = influx

    async def __call__(self, connection: HTTPConnection) -> View:
        """Return the caller's view; see `Guard.admit`."""
        return await guard_of(connection).admit(connection, self.role, influx=self._influx)


class Public:
    """A dependency that lets everybody in, declared so that it was not forgotten.

    Parameters
    ----------
    why : str
        What makes it harmless.
    """

    def __init__(self, why: str) -> None:
        self.why = why

    def __call__(self) -> None:
        """Let everybody in."""


READ = Permit(Role.READ)
INGEST = Permit(Role.INGEST)
INFLUX_INGEST = Permit(Role.INGEST, influx=True)
OPERATE = Permit(Role.OPERATE)
ADMINISTER = Permit(Role.ADMINISTER)

Reader = Annotated[View, Depends(READ)]
"""A parameter that receives the archive as a caller with the role ``read`` has it."""

Ingester = Annotated[View, Depends(INGEST)]
"""The same, of a caller with the role ``ingest``."""

InfluxIngester = Annotated[View, Depends(INFLUX_INGEST)]
"""The same, of a client of InfluxDB."""

Operator = Annotated[View, Depends(OPERATE)]
"""The same, of a caller with the role ``operate``."""

Administrator = Annotated[View, Depends(ADMINISTER)]
"""The same, of a caller with the role ``administer``."""


async def sees_all(connection: HTTPConnection) -> bool:
    """Return whether a caller may read everything; for what is public but for a part."""
    try:
        return (await READ(connection)).sight.is_whole
    except (UnauthorizedError, ForbiddenError, TooManyFailuresError):
        return False


SeesAll = Annotated[bool, Depends(sees_all)]
"""A parameter that says whether the caller may read everything; nobody is sent away."""


def guard_of(connection: HTTPConnection) -> Guard:
    """Return the guard of the application that a request came to."""
    guard: Guard = connection.app.state.guard
    return guard


def permissions(app: FastAPI) -> Iterator[tuple[str, RouteContext, list[Permit | Public]]]:
    """Yield path, route and what is asked of callers, for each route and mount of an application, and in its mounts."""
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        declared = [] if dependant is None else list(_declared(dependant))
        mounted = getattr(route.original_route, "app", None)
        if isinstance(mounted, FastAPI):
            yield from ((f"{route.path}{path}", inner, asked) for path, inner, asked in permissions(mounted))
            continue
        if isinstance(mounted, Pages):
            declared = [Public("files of the program")]
        yield str(route.path or "/"), route, declared


def check_declared(app: FastAPI) -> None:
    """Raise for a route that says nothing of who may ask it.

    Raises
    ------
    RuntimeError
        A mistake in the program.
    """
    open_ = [path for path, _, declared in permissions(app) if not declared]
    if open_:
        raise RuntimeError(f"no permission is declared for {', '.join(open_)}: see services.common.security.permits")


def _declared(dependant: object) -> Iterator[Permit | Public]:
    for part in getattr(dependant, "dependencies", ()):
        if isinstance(part.call, Permit | Public):
            yield part.call
        yield from _declared(part)
