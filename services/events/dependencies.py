"""What the routes work on: a caller's desk, by the role that each asks for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from services.common.security import Administrator, Operator, Reader
from services.events.desk import Desk
from services.events.service import EventService


def service_of(request: Request) -> EventService:
    """Return what watches the samples."""
    service: EventService = request.app.state.events
    return service


TheService = Annotated[EventService, Depends(service_of)]
"""A parameter that receives what watches the samples."""


def _reading(view: Reader, service: TheService) -> Desk:
    return Desk(service, view)


def _operating(view: Operator, service: TheService) -> Desk:
    return Desk(service, view)


def _administering(view: Administrator, service: TheService) -> Desk:
    return Desk(service, view)


ReaderDesk = Annotated[Desk, Depends(_reading)]
"""A parameter that receives the desk of a caller with the role ``read``."""

OperatorDesk = Annotated[Desk, Depends(_operating)]
"""The same, with the role ``operate``."""

AdministratorDesk = Annotated[Desk, Depends(_administering)]
"""The same, with the role ``administer``."""
