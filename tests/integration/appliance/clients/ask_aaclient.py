"""Asks with aaclient; prints what it understood as JSON."""

import asyncio
import json
import sys
from datetime import UTC, datetime

from aaclient import getArchive
from aaclient.conf import loadConfig

settings = loadConfig("DEFAULT", paths=[])
settings["url"] = f"{sys.argv[1]}/mgmt/bpl/getApplianceInfo"
START = datetime(2026, 3, 1, 0, 1, tzinfo=UTC)
END = datetime(2026, 3, 1, 0, 3, tzinfo=UTC)


def rows(answer):
    values, meta = answer
    seconds, nanos = meta["sec"].tolist(), meta["ns"].tolist()
    return [list(row) for row in zip(seconds, nanos, values[:, 0].tolist(), meta["severity"].tolist(), strict=True)]


async def ask():
    archive = await getArchive(settings)
    async with archive:
        return {
            "search": sorted(await archive.search("GOLD:W*")),
            "raw": rows(await archive.raw("GOLD:DBL", T0=START, Tend=END)),
            "plot": rows(await archive.plot("GOLD:DBL", T0=START, Tend=END, count=6)),
        }


print(json.dumps(asyncio.run(ask())))
