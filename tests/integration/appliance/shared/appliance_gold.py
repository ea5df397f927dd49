"""The recorded samples of an EPICS Archiver Appliance, and the application over an archive that has them."""

import asyncio
import itertools
import json
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa

from archiver.model import Kind, Metadata, SampleBatch, Status, parse_time
from archiver.model.alarm import status_of
from services.appliance.app import create_app
from services.common.security import Guard

RECORDINGS = Path(__file__).parents[1] / "recordings"
KINDS = {
    "DBR_SCALAR_DOUBLE": Kind.FLOAT,
    "DBR_SCALAR_FLOAT": Kind.FLOAT,
    "DBR_SCALAR_INT": Kind.INT,
    "DBR_SCALAR_SHORT": Kind.INT,
    "DBR_SCALAR_BYTE": Kind.INT,
    "DBR_SCALAR_ENUM": Kind.ENUM,
    "DBR_SCALAR_STRING": Kind.TEXT,
    "DBR_WAVEFORM_DOUBLE": Kind.FLOATS,
    "DBR_WAVEFORM_INT": Kind.INTS,
    "DBR_WAVEFORM_STRING": Kind.TEXTS,
}
CONVERT = {Kind.FLOAT: float, Kind.INT: int, Kind.ENUM: int, Kind.TEXT: str}
ESCAPED = {"\\n": "\n", "\\r": "\r", "\\e": "\x1b"}
PAUSED = parse_time("2026-03-01T12:00:00Z")


def value_of(text, type_, kind):
    if kind.is_list:
        return [CONVERT[kind.item](item) for item in json.loads(text)]
    if type_ == "DBR_SCALAR_FLOAT":
        return float(np.float32(text))
    for escape, character in ESCAPED.items():
        text = text.replace(escape, character)
    return CONVERT[kind](text)


def recorded_batches():
    """Yield the recorded samples, a batch per PV; before a reconnect is a gap, and the PVs are paused at the end."""
    rows = [line.split("|") for line in (RECORDINGS / "input.txt").read_text("utf-8").splitlines()]
    for name, group in itertools.groupby(rows, key=lambda row: row[0]):
        times, values, status = [], [], []
        for _, type_, _, time, *middle, severity, alarm, fields in group:
            kind, at = KINDS[type_], parse_time(time)
            if "cnxregainedepsecs" in fields:
                times.append(at - 2_000_000_000)
                values.append(None)
                status.append(int(Status.DISCONNECTED))
            times.append(at)
            values.append(value_of("|".join(middle), type_, kind))
            status.append(int(status_of([int(severity)], [int(alarm)])[0]))
        times.append(PAUSED)
        values.append(None)
        status.append(int(Status.PAUSED))
        column = pa.array(values, kind.arrow_type)
        yield SampleBatch.from_columns(name, times, column, status=np.array(status, np.uint64), kind=kind)


def describe(archive):
    names = {line.partition("|")[0] for line in (RECORDINGS / "input.txt").read_text("utf-8").splitlines()}
    for name in sorted({*names, "GOLD:EMPTY"}):
        metadata = Metadata(
            unit="" if name == "GOLD:NAN" else "C",
            precision=2,
            display_low=0,
            display_high=50,
            warning_low=10,
            warning_high=40,
            alarm_low=5,
            alarm_high=45,
        )
        archive.catalog.describe(name, metadata)


class Appliance:
    """The application without a server, on a loop of its own."""

    def __init__(self, archive):
        self.archive = archive
        self._app = create_app(Guard(archive, archive.settings.server))
        self._runner = asyncio.Runner()

    def close(self):
        self._runner.run(self._runner.get_loop().shutdown_asyncgens())
        self._runner.close()

    def request(self, method, url, **arguments):
        async def once():
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, url, **arguments)

        return self._runner.run(once())

    def submit(self, name, values, kind):
        """Take in a sample each minute from midnight on."""
        first = parse_time("2026-03-01T00:00:00Z")
        times = [first + minute * 60 * 10**9 for minute in range(len(values))]
        column = pa.array(values, Kind[kind.upper()].arrow_type)
        self.archive.intake.submit(SampleBatch.from_columns(name, times, column, kind=Kind[kind.upper()])).result()

    @staticmethod
    def metadata(**known):
        return Metadata(**known)

    def get(self, url, **params):
        return self.request("GET", url, **({"params": params} if params else {}))
