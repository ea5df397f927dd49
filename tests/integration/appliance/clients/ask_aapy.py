"""Asks with aapy, by JSON and by protobuf; prints what it understood as JSON."""

import json
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit

from aa.js import JsonFetcher
from aa.pb import PbFetcher
from aa.rest import AaRestClient

where = urlsplit(sys.argv[1])
START = datetime(2026, 3, 1, 0, 1, tzinfo=UTC)
END = datetime(2026, 3, 1, 0, 3, tzinfo=UTC)


def rows(data):
    return [[event.timestamp, event.value.tolist(), int(event.severity)] for event in data]


found = {}
for form, fetcher in (("json", JsonFetcher), ("pb", PbFetcher)):
    archive = fetcher(where.hostname, where.port)
    for pv in ("GOLD:DBL", "GOLD:INT", "GOLD:ENUM", "GOLD:WFD", "mean_20(GOLD:DBL)"):
        found[f"{form} {pv}"] = rows(archive.get_values(pv, START, END))
    event = archive.get_event_at("GOLD:DBL", END)
    found[f"{form} at"] = [event.timestamp, event.value.tolist(), int(event.severity)]
    event = archive.get_event_at("GOLD:VALVE", END)
    found[f"{form} state"] = str(event.enum_string)
    found[f"{form} empty"] = rows(archive.get_values("GOLD:EMPTY", START, END))
management = AaRestClient(where.hostname, where.port)
found["all"] = management.get_all_pvs("GOLD:W*")
found["statuses"] = management.get_pv_statuses(["GOLD:DBL", "NO:SUCH"])
found["never"] = management.get_never_connected_pvs()
found["disconnected"] = sorted(management.get_currently_disconnected_pvs())
found["pause"] = management.pause_archiving_pv("NO:SUCH")
found["abort"] = management.abort_archiving_pv("GOLD:DBL")
found["metrics"] = management.get_appliance_metrics()
found["metrics of one"] = management.get_appliance_metrics_for_appliance(found["metrics"][0]["instance"])
found["policies"] = management.get_policy_list()
found["archive"] = management.archive_pv("NEW:PV", 1.0)
found["archived again"] = management.archive_pv("NEW:PV", 1.0)
found["new"] = management.get_pv_status("NEW:PV")
print(json.dumps(found))
