"""Elements keep their past: names, units and types change by new versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from archiver.model import InvalidInputError, Kind, Metadata, NotFoundError
from archiver.model.time import MAX_TIME, MIN_TIME
from archiver.pipeline.catalog import Catalog
from archiver.pipeline.store import Store


@pytest.fixture
def store(tmp_path: Path):
    store = Store(tmp_path / "archive.db")
    yield store
    store.close()


FULL = Metadata(
    kind=Kind.ENUM,
    description="valve",
    unit="",
    display_low=-1.5,
    alarm_high=9.0,
    precision=2,
    states={0: "closed", 1: "open"},
    aliases=("V-1",),
    device="VALVE1",
    property="Acquisition",
    field="position",
)


def test_metadata_survives_a_restart_whole(store: Store):
    Catalog(store).describe("v1", FULL)
    assert Catalog(store).get("v1").metadata == FULL
    assert Catalog(store).get("V-1").name == "v1"


def test_a_changed_unit_is_a_new_version(store: Store):
    catalog = Catalog(store)
    catalog.describe("t", Metadata(kind=Kind.FLOAT, unit="C"))
    catalog.describe("t", Metadata(unit="K"), valid_from=100)
    assert [(v.valid_from, v.metadata.unit, v.metadata.kind) for v in Catalog(store).history("t")] == [
        (MIN_TIME, "C", Kind.FLOAT),
        (100, "K", Kind.FLOAT),
    ]
    with pytest.raises(InvalidInputError, match="history is not rewritten"):
        catalog.describe("t", Metadata(unit="F"), valid_from=50)


def test_a_renamed_element_is_found_by_both_names_and_knows_when_it_had_which(store: Store):
    Catalog(store).register({"old": Kind.FLOAT})
    Catalog(store).describe("old", Metadata(), rename="new", valid_from=100)
    catalog = Catalog(store)
    assert catalog.get("old").name == catalog.get("new").name == "new"
    assert catalog.names("new") == {"old": (MIN_TIME, 100), "new": (100, MAX_TIME)}
    assert catalog.names("never seen") == {"never seen": (MIN_TIME, MAX_TIME)}


def test_names_and_aliases_belong_to_one_element(store: Store):
    catalog = Catalog(store)
    catalog.register({"a": Kind.FLOAT, "b": Kind.FLOAT})
    with pytest.raises(InvalidInputError, match="already names"):
        catalog.describe("a", Metadata(), rename="b")
    with pytest.raises(InvalidInputError, match="already names"):
        catalog.describe("a", Metadata(aliases=("b",)))


def test_an_unknown_element_is_an_error_that_names_it(store: Store):
    with pytest.raises(NotFoundError, match="nothing here"):
        Catalog(store).get("nothing here")


def test_kinds_of_known_and_unknown(store: Store):
    catalog = Catalog(store)
    catalog.register({"a": Kind.TEXT, "b": Kind.NONE})
    catalog.register({"b": Kind.INT, "a": Kind.TEXT})
    assert catalog.kinds(["a", "b", "c"]).tolist() == [Kind.TEXT, Kind.INT, -1]
    assert [version.name for version in catalog.elements()] == ["a", "b"]
