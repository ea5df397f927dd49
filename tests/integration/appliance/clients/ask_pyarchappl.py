"""Asks with pyarchappl; prints what it understood as JSON."""

import json
import sys
import warnings

warnings.simplefilter("ignore")
from archappl.admin import ArchiverMgmtClient  # noqa: E402
from archappl.client import ArchiverDataClient  # noqa: E402

url = sys.argv[1]
INTERVAL = {"from_time": "2026-03-01T00:01:00.000Z", "to_time": "2026-03-01T00:03:00.000Z", "tz": "UTC"}


def rows(frame):
    if frame is None:
        return None
    times = [int(time.value) for time in frame.index]
    values = [value if isinstance(value, (str, int, float)) else [float(v) for v in value] for value in frame["val"]]
    severities, statuses = ([int(number) for number in frame[name]] for name in ("severity", "status"))
    return [list(row) for row in zip(times, values, severities, statuses, strict=True)]


found = {}
for form in ("json", "raw"):
    client = ArchiverDataClient(url, format=form)
    for pv in ("GOLD:DBL", "GOLD:INT", "GOLD:ENUM", "GOLD:STR", "GOLD:WFD", "mean_20(GOLD:DBL)"):
        found[f"{form} {pv}"] = rows(client.get_data(pv, **INTERVAL))
found["empty raw"] = rows(ArchiverDataClient(url, format="raw").get_data("GOLD:EMPTY", **INTERVAL))
found["at"] = ArchiverDataClient(url).get_data_at_time(["GOLD:DBL", "NO:SUCH"], "2026-03-01T00:02:03.000Z")
management = ArchiverMgmtClient(url)
found["info"] = management.get_appliance_info()
found["all"] = management.get_all_pvs("GOLD:W*")
found["status"] = vars(management.get_pv_status("GOLD:DBL")["GOLD:DBL"])
found["type"] = vars(management.get_pv_type_info("GOLD:DBL"))
found["details"] = management.get_pv_details("GOLD:DBL")["value"].tolist()
found["stores"] = management.get_stores_for_pv("GOLD:DBL")
print(json.dumps(found, default=str))
