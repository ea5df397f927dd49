"""Access control: who asks (`Guard`), what a route asks for (`Reader` and its like), what a caller sees (`View`)."""

from services.common.security.guard import Guard, check_start
from services.common.security.local import local_key
from services.common.security.permits import (
    ADMINISTER,
    INFLUX_INGEST,
    INGEST,
    OPERATE,
    READ,
    Administrator,
    InfluxIngester,
    Ingester,
    Operator,
    Permit,
    Public,
    Reader,
    SeesAll,
    check_declared,
    guard_of,
    permissions,
)
from services.common.security.tls import server_context
from services.common.security.view import View

__all__ = [
    "ADMINISTER",
    "INFLUX_INGEST",
    "INGEST",
    "OPERATE",
    "READ",
    "Administrator",
    "Guard",
    "InfluxIngester",
    "Ingester",
    "Operator",
    "Permit",
    "Public",
    "Reader",
    "SeesAll",
    "View",
    "check_declared",
    "check_start",
    "guard_of",
    "local_key",
    "permissions",
    "server_context",
]
