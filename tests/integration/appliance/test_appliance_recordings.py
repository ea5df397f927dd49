"""What a real EPICS Archiver Appliance answered to the same requests on the same samples, and where we differ.

A deviation is a reason, and a function that makes of the recorded answer the one that is ours.
"""

import json
import math

import pytest
from appliance_gold import RECORDINGS
from appliance_wire import chunks

REQUESTS = [json.loads(line) for line in (RECORDINGS / "manifest.jsonl").read_text("utf-8").splitlines()]
RECORDED = {request["name"]: request for request in REQUESTS if not request["name"].startswith("live_")}
META = {"EGU": "C", "PREC": "2"}
LIMITS = {"LOPR": "0.0", "HOPR": "50.0", "LOLO": "5.0", "LOW": "10.0", "HIGH": "40.0", "HIHI": "45.0"}
OURS = {
    "appliance0": "forebay",
    "local-a7a938e5": "forebay-0.1.0",
    "localhost:17665": "localhost",
    "localhost:16670": "",
}
WIDE = {1: 5, 4: 5, 2: 6}


# -- answers as values ------------------------------------------------------------------------------


def of_raw(body):
    """Name, type, metadata and samples of each PV; chunks of a PV are joined."""
    series = []
    for info, samples in chunks(body):
        rows = [{"year": info["year"], **sample} for sample in samples]
        if series and series[-1]["name"] == info["name"]:
            series[-1]["type"] = info["type"]
            series[-1]["data"] += rows
        else:
            series.append({"name": info["name"], "type": info["type"], "meta": info["meta"], "data": rows})
    return series


def of_lines(separator):
    def parse(body):
        return [[cell(text) for text in line.split(separator)] for line in body.decode().splitlines()]

    return parse


def cell(text):
    for candidate in (text, text.strip("[]")):  # parts of a waveform, between commas
        try:
            return json.loads(candidate)
        except ValueError:
            continue
    return text


def finite(value):
    """JSON without what is not JSON."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parsed(body, name, media_type):
    if "protobuf" in media_type:
        return of_raw(body)
    if "csv" in media_type:
        return of_lines(",")(body)
    if name.endswith(".txt"):
        return of_lines("\t")(body)
    if "json" in media_type or not media_type:
        return finite(json.loads(body)) if body else None
    return body.decode()


def same(a, b, tolerance=1e-9):
    """Whether two values are equal, numbers but for the order of their summation."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key], tolerance) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y, tolerance) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, (float, int)) and not isinstance(b, bool):
        return (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=tolerance, abs_tol=1e-12)
    if isinstance(a, str) and isinstance(b, str) and a != b and {a, b}.isdisjoint(("", "true")):
        return isinstance(cell(a), float) and isinstance(cell(b), float) and same(cell(a), cell(b), tolerance)
    return a == b and isinstance(a, bool) == isinstance(b, bool)


# -- deviations -------------------------------------------------------------------------------------


def with_meta(meta):
    return lambda answer: [{**series, "meta": {**series["meta"], **meta}} for series in answer]


def wider(answer):
    return [{**series, "type": WIDE[series["type"]]} for series in answer]


def info_only(name):
    return lambda answer: [{"name": name, "type": 6, "meta": META, "data": []}]


def filled_bins(answer, ours):
    """Leave out bins without samples, which get the value of the bin before there (see `test_appliance_operators`)."""
    for theirs, mine in zip(answer, ours, strict=True):
        filled = [row["val"][4] > 0 for row in mine["data"]]
        for series in (theirs, mine):
            series["data"] = [row for row, kept in zip(series["data"], filled, strict=True) if kept]
    return answer


def at_once(answer):
    """When the connection was lost and regained is what the samples say, not fields that were made up."""
    for series in answer:
        for row in series["data"]:
            if "cnxlostepsecs" in row.get("fields", {}):
                row["fields"] = {"cnxlostepsecs": str(row["secs"] - 2), "cnxregainedepsecs": str(row["secs"])}
    return answer


def renamed(answer):
    text = json.dumps(answer)
    for theirs, ours in OURS.items():
        text = text.replace(theirs, ours)
    return json.loads(text)


def only(*keys):
    """Compare what is there in both: the rest is of an engine that samples."""

    def change(answer, ours):
        kept = {key: ours.pop(key) for key in keys}
        ours.clear()
        ours.update(kept)
        return {key: value for key, value in renamed(answer).items() if key in keys}

    return change


SHARED_KEYS = [
    "pvName",
    "DBRType",
    "scalar",
    "elementCount",
    "applianceIdentity",
    "paused",
    "samplingMethod",
    "usePVAccess",
    "units",
    "precision",
    "hasReducedDataSet",
    "lowerDisplayLimit",
    "upperDisplayLimit",
    "lowerAlarmLimit",
    "upperAlarmLimit",
    "lowerWarningLimit",
    "upperWarningLimit",
]

UNITS = "units and precision are in every PayloadInfo, those of operators with bins included", with_meta(META)
TYPE = "8, 16 and 32 bits are kept as 64, and answered as int and double", wider
LATEST = "limits are the catalogue's, no engine has to be connected", with_meta({**LIMITS, "PREC": "2.0"})
HELD = "a bin of `optimized` without samples says what held then (the appliance's issue 111)", filled_bins
HELD_UNITS = "both of these", lambda answer, ours: filled_bins(with_meta(META)(answer), ours)
RECONNECTED = "the archive keeps the loss of a connection, not fields of samples", at_once
IDENTITY = "this is another appliance", renamed

DEVIATIONS = {
    **dict.fromkeys(("short.raw", "byte.raw", "float.raw", "opt_optimized_100_float.raw"), TYPE),
    **dict.fromkeys(("op_mean_60.raw", "op_errorbar_60.raw", "op_stats_60.raw", "opt_mean_5_year.raw"), UNITS),
    "op_caplotbinning_60.raw": UNITS,
    **dict.fromkeys(("dbl_meta.json", "dbl_meta.raw", "enum_meta.json"), LATEST),
    "empty.raw": ("a PV without samples is known: its PayloadInfo says so", info_only("GOLD:EMPTY")),
    "op_optimized_10_empty.raw": ("as empty.raw", info_only("GOLD:EMPTY")),
    "t_before.raw": ("as empty.raw", info_only("GOLD:DBL")),
    **dict.fromkeys(("gap_optimized_10.json", "gap_optimized_5.json", "gap_optimized_20.json"), HELD),
    **{f"opt_optimized_5_{kind}.json": HELD for kind in ("int", "enum", "wfd", "byte")},
    **dict.fromkeys(("opt_optimized_3_nan.json", "opx_optimized_10.json", "op_optimized_10.qw"), HELD),
    **dict.fromkeys(("op_optimized_10.raw", "opt_optimized_5_year.raw"), HELD_UNITS),
    **{f"opx_optimized_{n}.json": RECONNECTED for n in (120, 121, 1000)},
    **dict.fromkeys(("opx_optimized.json", "opx_bogus.json", "t_only_to.json"), RECONNECTED),
    "op_ncount_empty.json": (
        "there is metadata: what the appliance sends is no answer",
        lambda answer: [{"meta": {"name": "GOLD:EMPTY", **META}, "data": answer}],
    ),
    "opt_mean_60_str.json": ("text has no mean, and no bins without metadata", lambda answer: []),
    "bpl_match_limit2": ("the first names are given, not any", lambda answer: ["GOLD:BYTE", "GOLD:DBL"]),
    "bpl_match_limit0": ("none is none", lambda answer: []),
    "bpl_metadata": ("as dbl_meta.json", lambda _: {"name": "GOLD:DBL", **META, **LIMITS, "PREC": "2.0"}),
    "mgmt_getPVTypeInfo": ("there is no engine: only what is known", only(*SHARED_KEYS)),
    "mgmt_getNeverConnectedPVs": (
        "no sample has come of it yet",
        lambda _: [{"pvName": "GOLD:EMPTY", "currentState": "METAINFO_REQUESTED", "appliance": "forebay"}],
    ),
    "mgmt_unarchived": ("the answer is JSON", lambda _: ["NO:SUCH"]),
    "mgmt_resume_unknown": ("it says what was tried", lambda it: json.loads(json.dumps(it).replace("pause", "resume"))),
    **dict.fromkeys(
        [name for name in RECORDED if name.startswith("mgmt_getPVStatus") and "unknown" not in name], IDENTITY
    ),
    **dict.fromkeys(("bpl_version", "mgmt_getApplianceInfo", "mgmt_getApplianceInfo_id", "mgmt_getVersions"), IDENTITY),
    "mgmt_getAppliancesInCluster": IDENTITY,
}
MEDIA_TYPES = {"text;charset=ISO-8859-1": "text/plain"}
TOLERANCE = {"float.json": 1e-7, "float.csv": 1e-7, "opt_optimized_100_float.json": 1e-7}
"""Where 32 bits are written by fewer digits than the same value in 64."""

FILE = "samples come from no file that could be named"
NO_JSON = ("bpl_metadata", "mgmt_unarchived")
"""Answers of the appliance that are not JSON, though they say so."""

OTHER = {
    "dbl.txt": FILE,
    "str.txt": FILE,
    "wfd.txt": FILE,
    "op_optimized_10.csv": "as gap_optimized_10.json",
    "gap_optimLastSample_5.json": "an empty bin has the severity of the sample that holds, not of the next bin",
    "opx_optimLastSample_1000.json": "few samples are given as they are; the appliance divides by zero",
    "usereduced.json": "there is no reduced data",
    "multi_post_form2.json": "a field that is repeated counts each time",
    "mgmt_getPVDetails": "rows for people, from what is known",
}
"""Answers that are compared by other tests, and why they differ."""

STATUS = {
    **dict.fromkeys(("t_bad.json", "t_nozone.json", "t_dateonly.json"), (400, "a bad time is the caller's mistake")),
    **dict.fromkeys(("at_bad.json", "at_badperiod.json", "getData_noext"), (400, "so is this")),
    "mgmt_archivePV_nopv": (400, "so is this"),
    **dict.fromkeys(("t_plus_nocolon.json", "t_space_for_plus.json"), (200, "it is clear what is meant")),
    "at_period.json": (200, "periods of hours are understood"),
    **dict.fromkeys(("opx_mean_0.json", "opx_mean_-5.json"), (404, "a bad argument, as mean_abc")),
    "multi_get_unknown.json": (200, "one unknown PV does not lose the others"),
    "name_3_GOLD_DBL_HIHI.json": (404, "limits are metadata, and no elements"),
    "cors_options": (200, "a browser may ask"),
    "mgmt_modifyMetaFields": (404, "not in the subset"),
}
"""Where our status is another one, and why."""


def asked(gold, request):
    method = request.get("method", "GET")
    headers, body = request.get("request_headers"), request.get("request_body")
    return gold.request(method, request["url"], content=body, headers=headers)


@pytest.mark.parametrize("name", [name for name in RECORDED if name not in OTHER])
def test_the_answer_is_that_of_the_appliance(gold, name):
    request = RECORDED[name]
    answer = asked(gold, request)
    status, _ = STATUS.get(name, (request["status"], ""))
    assert answer.status_code == status
    if not status == request["status"] == 200:
        return
    media_type = MEDIA_TYPES.get(request.get("type"), request.get("type", "application/json")).partition(";")[0]
    assert answer.headers["content-type"].partition(";")[0] == media_type
    body = (RECORDINGS / "answers" / request["answer"]).read_bytes()
    recorded = None if name in NO_JSON else parsed(body, name, media_type)
    ours = parsed(answer.content, name, media_type)
    _, change = DEVIATIONS.get(name, ("", lambda it: it))
    wanted = change(recorded, ours) if change.__code__.co_argcount == 2 else change(recorded)
    assert same(wanted, ours, TOLERANCE.get(name, 1e-9)), (wanted, ours)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_deviation_is_one(gold, name):
    request = RECORDED[name]
    body = (RECORDINGS / "answers" / request["answer"]).read_bytes()
    media_type = request["type"]
    if name not in NO_JSON:
        ours = parsed(asked(gold, request).content, name, media_type)
        assert not same(parsed(body, name, media_type), ours, TOLERANCE.get(name, 1e-9))


@pytest.mark.parametrize("name", ["dbl.txt", "str.txt", "wfd.txt"])
def test_text_for_people_names_no_file(gold, name):
    request = RECORDED[name]
    recorded = of_lines("\t")((RECORDINGS / "answers" / request["answer"]).read_bytes())
    recorded[1] = ["Data from stream forebay"]
    ours = of_lines("\t")(asked(gold, request).content)
    assert same(recorded, ours)
    assert any(len(row) == 5 for row in ours)


def test_rows_for_people_say_what_is_known(gold):
    rows = asked(gold, RECORDED["mgmt_getPVDetails"]).json()
    recorded = json.loads((RECORDINGS / "answers" / "mgmt_getPVDetails.json").read_bytes())
    assert all(row.keys() == {"name", "value", "source"} for row in rows)
    ours, theirs = ({row["name"]: row["value"] for row in table} for table in (rows, recorded))
    shared = ours.keys() & theirs.keys() - {"Instance archiving PV"}
    assert len(shared) >= 7
    assert {name: ours[name] for name in shared} == {name: theirs[name] for name in shared}
