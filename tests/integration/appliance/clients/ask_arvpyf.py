"""Asks with arvpyf; prints what it understood as JSON."""

import json
import sys

from arvpyf.ar import ArchiverReader

reader = ArchiverReader({"url": sys.argv[1], "timezone": "Europe/Berlin"})
frame = reader.get("GOLD:DBL", "2026-03-01 01:01:00", "2026-03-01 01:03:00")
print(json.dumps({"times": [time.isoformat() for time in frame["time"]], "values": frame["data"].tolist()}))
