"""Asks with epicsarchiver-retrieval-client, by every operator that it knows; prints what it understood as JSON."""

import json
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit

from epicsarchiver.retrieval.client.archiver_retrieval import ArchiverRetrieval
from epicsarchiver.retrieval.client.processor import Processor, ProcessorName

where = urlsplit(sys.argv[1])
archive = ArchiverRetrieval(where.hostname, where.port)
START = datetime(2026, 3, 1, 0, 1, tzinfo=UTC)
END = datetime(2026, 3, 1, 0, 3, tzinfo=UTC)


def rows(answer):
    return [[event.timestamp_ns, event.val, event.severity, event.status] for event in answer[1]]


found = {pv: rows(archive.get_events(pv, START, END)) for pv in ("GOLD:DBL", "GOLD:INT", "GOLD:STR", "GOLD:WFD")}
for name in ProcessorName:
    size = None if name is ProcessorName.NCOUNT else 20
    found[name.value] = rows(archive.get_events("GOLD:DBL", START, END, Processor(name, size)))
meta = archive.get_events("GOLD:DBL", START, END)[0][2026]
found["meta"] = {"name": meta.pv_name, "headers": {field.name: field.value for field in meta.headers}}
found["search"] = archive.search("GOLD:W.*")
found["searched in time"] = archive.search("GOLD:(DBL|EMPTY)", start=START, end=END)
print(json.dumps(found))
