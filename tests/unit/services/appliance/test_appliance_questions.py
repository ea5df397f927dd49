"""What clients write: names in their spellings, times, periods, lists."""

import pytest

from archiver.model import ElementVersion, Kind, Metadata, NotFoundError
from archiver.model.listing import Listing
from archiver.model.time import DAY_NS
from services.appliance.bodies import listed
from services.appliance.metadata import meta_of
from services.appliance.names import matching, wanted
from services.appliance.operators import Operator
from services.appliance.times import instant, period, span, spans
from services.common.errors import BadParameterError

HOUR = 3600 * 10**9


class Names:
    """A view of some elements by name; `old` is an alias of the first."""

    def __init__(self, *names):
        self._versions = {name: ElementVersion(i, name, 0, Metadata(kind=Kind.FLOAT)) for i, name in enumerate(names)}

    def listing(self):
        return Listing(self._versions[name] for name in sorted(self._versions))

    def element(self, name):
        if name == "old":
            name = next(iter(self._versions))
        if name not in self._versions:
            raise NotFoundError(f"there is no element {name!r}")
        return self._versions[name]


@pytest.mark.parametrize(
    ("text", "name", "operator"),
    [
        ("A:B", "A:B", None),
        ("ca://A:B", "A:B", None),
        ("pva://A:B.VAL", "A:B", None),
        ("old", "old", None),
        ("mean_60(A:B)", "A:B", Operator("mean", ("60",))),
        ("mean(A:B)", "A:B", Operator("mean")),
        ("mean(A:B, 60)", "A:B", Operator("mean", ("60",))),
        ("flyers_60(A:B,2.5)", "A:B", Operator("flyers", ("60", "2.5"))),
        ("meanSample_60(ca://A:B.VAL)", "A:B", Operator("mean", ("60",), fill=False)),
        ("bogus(A:B)", "A:B", None),
        ("mean_5(odd(1), name)", "odd(1), name", Operator("mean", ("5",))),
        ("odd(1), name", "odd(1), name", None),
        ("X.VAL", "X", None),
    ],
)
def test_a_name_may_have_an_operator_around_it(text, name, operator):
    found = wanted(Names("A:B", "odd(1), name", "X.VAL"), text)
    assert (found.name, found.operator) == (name, operator)


def test_the_operator_may_be_a_parameter():
    assert wanted(Names("A"), "A", "mean_60").operator == Operator("mean", ("60",))


@pytest.mark.parametrize("text", ["B", "mean_60(B)", "a", "", "()", "mean(", "mean_60()"])
def test_an_unknown_name_is_not_found(text):
    with pytest.raises(NotFoundError):
        wanted(Names("A"), text)


def test_an_element_may_stand_for_one_that_is_gone():
    found = wanted(Names("A"), "mean_60(GONE)", template="A")
    assert (found.name, found.element.name, found.element.metadata.kind) == ("GONE", "GONE", Kind.FLOAT)
    with pytest.raises(NotFoundError):
        wanted(Names("A"), "GONE", template="B")


@pytest.mark.parametrize(
    ("patterns", "wanted_names"),
    [
        ({"glob": "A*"}, ["A1", "A2", "A[1]"]),
        ({"glob": "A?"}, ["A1", "A2"]),
        ({"glob": "A[1]"}, ["A[1]"]),
        ({"glob": "B,A1"}, ["A1", "B"]),
        ({"regex": "A[12]"}, ["A1", "A2"]),
        ({"regex": "A"}, []),
        ({"regex": "A1|B"}, ["A1", "B"]),
        ({"regex": "("}, []),
        ({"regex": ")|(.*"}, []),
        ({"glob": "B", "regex": "A1"}, ["B"]),
        ({}, ["A1", "A2", "A[1]", "B"]),
    ],
)
def test_patterns_match_whole_names(patterns, wanted_names):
    assert matching(Names("A1", "A2", "A[1]", "B"), **patterns) == wanted_names


@pytest.mark.parametrize(
    ("text", "wanted_time"),
    [
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T00:00:00.123456789Z", 123456789),
        ("1970-01-01T01:00:00.000+01:00", 0),
        ("1970-01-01T01:00:00.000 01:00", 0),
        ("1969-12-31T19:00:00-05:00", 0),
    ],
)
def test_instants(text, wanted_time):
    assert instant("from", text) == wanted_time


@pytest.mark.parametrize("text", ["yesterday", "2026-03-01", "2026-03-01T00:00:00", "2026-13-01T00:00:00Z", ""])
def test_what_is_no_instant_says_which_parameter(text):
    with pytest.raises(BadParameterError, match="from = "):
        instant("from", text)


def test_intervals():
    start, end = span(None, "1970-01-02T00:00:00Z")
    assert (start, end) == (0, DAY_NS)
    start, end = span(None, None)
    assert end - start == DAY_NS
    with pytest.raises(BadParameterError, match="before from"):
        span("1970-01-02T00:00:00Z", "1970-01-01T00:00:00Z")
    assert spans("1970-01-01T00:00:00Z,1970-01-02T00:00:00Z") == [(0, DAY_NS)]
    with pytest.raises(BadParameterError, match="pairs"):
        spans("1970-01-01T00:00:00Z")


@pytest.mark.parametrize(("text", "length"), [("P1D", DAY_NS), ("PT12H", 12 * HOUR), ("P1DT1H", DAY_NS + HOUR)])
def test_periods(text, length):
    assert period(text) == length


@pytest.mark.parametrize("text", ["x", "P", "1D", "PT", ""])
def test_what_is_no_period(text):
    with pytest.raises(BadParameterError):
        period(text)


def test_lists():
    assert listed("A,B\nC\r\n D ,,") == ["A", "B", "C", "D"]


def test_metadata_as_the_appliance_names_it():
    metadata = Metadata(kind=Kind.ENUM, unit="mm", precision=2, alarm_high=5, states={0: "off", 1: "on"})
    assert meta_of(metadata, latest=False) == {"EGU": "mm", "PREC": "2"}
    assert meta_of(metadata, latest=True) == {
        "EGU": "mm",
        "PREC": "2.0",
        "HIHI": "5.0",
        "ENUM_0": "off",
        "ENUM_1": "on",
    }
    assert meta_of(Metadata(kind=Kind.BOOL), latest=True) == {"ENUM_0": "false", "ENUM_1": "true"}
