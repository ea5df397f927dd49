"""Whatever is asked, it is answered: never by a 500, and errors are problem documents."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.appliance.operators.figures import FIGURES, WHOLE

NAMES = st.sampled_from(
    ["GOLD:DBL", "GOLD:STR", "GOLD:WFS", "GOLD:EMPTY", "GOLD:YEAR", "NO:SUCH", "ca://GOLD:NAN.VAL", "", "()"]
)
CHOOSING = ("firstSample", "lastSample", "firstFill", "lastFill", "ncount", "nth", "ignoreflyers", "flyers", "deadBand")
PLOTTING = ("optimized", "optimLastSample", "caplotbinning")
OPERATORS = st.sampled_from([*FIGURES, *WHOLE, *CHOOSING, *PLOTTING, "meanSample", "bogus", ""])
ARGUMENTS = st.sampled_from(["", "_1", "_60", "_7_2", "_0", "_-1", "_x", "_1e3", "_99999999999999999999", "_60_nan"])
TEXT = st.text(max_size=12)
PVS = st.one_of(NAMES, st.builds(lambda o, a, n: f"{o}{a}({n})", OPERATORS, ARGUMENTS, NAMES), TEXT)
TIMES = st.one_of(
    st.sampled_from(["2026-03-01T00:00:00Z", "2026-03-01T00:10:00.5+01:00", "now", "1677-09-21T00:12:44Z"]),
    st.sampled_from(
        ["2262-04-11T23:47:16.854775807Z", "2026-02-30T00:00:00Z", "yesterday", "", "2026-03-01 00:00:00 00:00"]
    ),
    TEXT,
)
FORMATS = st.sampled_from(["json", "raw", "qw", "csv", "txt", "svg", "jplot"])
MANY = settings(max_examples=150, suppress_health_check=list(HealthCheck), deadline=None)


def check(answer):
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    elif answer.headers.get("content-type", "").startswith("application/json"):
        json.loads(answer.text, parse_constant=pytest.fail)


@MANY
@given(FORMATS, PVS, TIMES, TIMES, st.sampled_from(["", "true", "x"]))
def test_samples(gold, extension, pv, start, end, latest):
    parameters = {"pv": pv, "from": start, "to": end, "fetchLatestMetadata": latest}
    check(gold.request("GET", f"/retrieval/data/getData.{extension}", params=parameters))


@MANY
@given(FORMATS, st.lists(PVS, max_size=3), TIMES, TEXT)
def test_several_and_ranges(gold, extension, pvs, start, ranges):
    parameters = {"pv": pvs, "from": start, "to": "2026-03-01T00:10:00Z"}
    check(gold.request("GET", f"/retrieval/data/getDataForPVs.{extension}", params=parameters))
    check(gold.request("GET", f"/retrieval/data/getData.{extension}", params={"pv": "GOLD:DBL", "timeranges": ranges}))


@MANY
@given(st.binary(max_size=30) | st.lists(PVS, max_size=3).map(lambda names: json.dumps(names).encode()), TIMES, TEXT)
def test_bodies(gold, body, at, period):
    for media_type in ("application/json", "text/plain", "application/x-www-form-urlencoded", ""):
        headers = {"Content-Type": media_type}
        parameters = {"at": at, "searchPeriod": period}
        check(gold.request("POST", "/retrieval/data/getDataAtTime", params=parameters, content=body, headers=headers))
        check(gold.request("POST", "/mgmt/bpl/getPVStatus", content=body, headers=headers))


@MANY
@given(TEXT, st.sampled_from(["0", "-1", "3", "x", "99999999999999999999"]))
def test_searches(gold, pattern, limit):
    for parameter in ("pv", "regex"):
        check(gold.get("/retrieval/bpl/getMatchingPVs", **{parameter: pattern, "limit": limit}))
        check(gold.get("/mgmt/bpl/getAllPVs", **{parameter: pattern, "limit": limit}))
    check(gold.get("/retrieval/bpl/searchForPVsRegex", regex=pattern))
    for method in (
        "getPVStatus",
        "getPVTypeInfo",
        "getPVDetails",
        "getStoresForPV",
        "pauseArchivingPV",
        "abortArchivingPV",
    ):
        check(gold.get(f"/mgmt/bpl/{method}", pv=pattern))
