"""Asks with archapp; prints what it understood as JSON."""

import json
import sys
from datetime import datetime
from urllib.parse import urlsplit

from archapp.interactive import EpicsArchive

where = urlsplit(sys.argv[1])
archive = EpicsArchive(where.hostname, where.port, where.port)
START, END, AT = map(datetime.fromisoformat, ("2026-03-01T00:01", "2026-03-01T00:03", "2026-03-01T00:02:03"))  # as TZ

table = archive.get("GOLD:DBL", START, END, xarray=True)
data = table["GOLD:DBL"].sel(field="vals").values.tolist()
found = {
    "times": [str(time) for time in table.time.values],
    "values": data,
    "severities": table["GOLD:DBL"].sel(field="sevr").values.tolist(),
    "glob": sorted(map(str, archive.get("GOLD:W?D", START, END, xarray=True).data_vars)),
    "snapshot": archive.get_snapshot("GOLD:DBL", "GOLD:NAN", at=AT),
    "search": archive.search("GOLD:W*", do_print=False),
}
print(json.dumps(found))
