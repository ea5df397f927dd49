"""How PVs are doing, as the appliance's management says it: all values are text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from archiver.model import ElementVersion, Kind, SampleBatch, Status, format_time
from archiver.model.time import MIN_TIME, NANOSECONDS
from services.appliance.identity import IDENTITY
from services.appliance.metadata import limits_of, type_of
from services.appliance.names import find
from services.common.security import View

ARCHIVED, PAUSED, INITIAL, UNKNOWN = "Being archived", "Paused", "Initial sampling", "Not being archived"
NEVER = "Never"
_LIMITS = {
    "LOPR": "lowerDisplayLimit",
    "HOPR": "upperDisplayLimit",
    "LOLO": "lowerAlarmLimit",
    "LOW": "lowerWarningLimit",
    "HIGH": "upperWarningLimit",
    "HIHI": "upperAlarmLimit",
}


class Newest:
    """The newest sample of some elements: whether it is a gap, and when it was."""

    def __init__(self, view: View, elements: Sequence[str] | None = None) -> None:
        batch = SampleBatch.empty() if elements == [] else view.latest(elements)
        names = [batch.elements[code] for code in batch.codes.tolist()]
        self._rows = dict(zip(names, zip(batch.source_time.tolist(), batch.status.tolist(), strict=True), strict=True))

    def status_of(self, element: str) -> str:
        """Return what becomes of the samples of an element."""
        if element not in self._rows:
            return INITIAL
        return PAUSED if self._rows[element][1] & Status.PAUSED else ARCHIVED

    def is_connected(self, element: str) -> bool:
        """Return whether the view of an element said last that it is there."""
        return element in self._rows and not self._rows[element][1] & (Status.DISCONNECTED | Status.PAUSED)

    def is_lost(self, element: str) -> bool:
        """Return whether the view of an element said last that it cannot be reached."""
        return element in self._rows and bool(self._rows[element][1] & Status.DISCONNECTED)

    def time_of(self, element: str) -> str:
        """Return when the newest sample was."""
        return told(self._rows[element][0]) if element in self._rows else NEVER


def told(time: int) -> str:
    """Return an instant in the words of the appliance.

    Examples
    --------
    >>> told(0)
    'Jan/01/1970 00:00:00 UTC'
    """
    return datetime.fromtimestamp(time // NANOSECONDS, UTC).strftime("%b/%d/%Y %H:%M:%S UTC")


def status_rows(view: View, names: Sequence[str]) -> list[dict[str, str]]:
    """Return a row per name: what the appliance would say of it."""
    found = {name: find(view, name) for name in names}
    newest = Newest(view, [element.name for element in found.values() if element is not None])
    return [_status_row(name, element, newest) for name, element in found.items()]


def _status_row(name: str, element: ElementVersion | None, newest: Newest) -> dict[str, str]:
    status = UNKNOWN if element is None else newest.status_of(element.name)
    if element is None or status == INITIAL:
        return {"pvName": name, "status": status}
    row = {"pvName": name, "pvNameOnly": element.name, "appliance": IDENTITY, "status": status}
    if status == PAUSED:
        return row
    return row | {
        "connectionState": str(newest.is_connected(element.name)).lower(),
        "lastEvent": newest.time_of(element.name),
        "samplingPeriod": "0.0",
        "isMonitored": "true",
        "lastRotateLogs": NEVER,
        "connectionFirstEstablished": NEVER,
        "connectionLastRestablished": NEVER,
        "connectionLossRegainCount": "0",
    }


def type_info(element: ElementVersion, newest: Newest) -> dict[str, Any]:
    """Return what is known of a PV, by the appliance's keys."""
    metadata = element.metadata
    created = format_time(max(element.valid_from, 0) if element.valid_from != MIN_TIME else 0)
    info = {
        "pvName": element.name,
        "DBRType": type_of(metadata.kind),
        "scalar": str(not (metadata.kind.is_list or metadata.kind is Kind.BINARY)).lower(),
        "elementCount": "1",
        "applianceIdentity": IDENTITY,
        "paused": str(newest.status_of(element.name) == PAUSED).lower(),
        "samplingMethod": "MONITOR",
        "samplingPeriod": "0.0",
        "usePVAccess": "false",
        "creationTime": created,
        "modificationTime": created,
        "units": metadata.unit,
        "precision": str(float(metadata.precision or 0)),
        "hasReducedDataSet": "false",
        "archiveFields": [],
        "dataStores": [],
        "extraFields": {"NAME": element.name, **({"DESC": metadata.description} if metadata.description else {})},
    }
    limits = limits_of(metadata)
    return info | {key: str(float(limits[name])) for name, key in _LIMITS.items() if name in limits}


def details(element: ElementVersion, newest: Newest) -> list[dict[str, str]]:
    """Return what is known of a PV, as rows for people."""
    metadata = element.metadata
    scalar = not (metadata.kind.is_list or metadata.kind is Kind.BINARY)
    known = {
        "PV Name": element.name,
        "Instance archiving PV": IDENTITY,
        "Archiver DBR type (from typeinfo):": type_of(metadata.kind),
        "Is this a scalar:": "Yes" if scalar else "No",
        "Units:": metadata.unit or "N/A",
        "Precision:": str(float(metadata.precision or 0)),
        "Is this PV paused:": "Yes" if newest.status_of(element.name) == PAUSED else "No",
        "Sampling method:": "MONITOR",
        "Is this PV currently connected?": "yes" if newest.is_connected(element.name) else "no",
        "When did we receive the last event?": newest.time_of(element.name),
        **({"Description:": metadata.description} if metadata.description else {}),
    }
    return [{"name": name, "value": value, "source": "mgmt"} for name, value in known.items()]
