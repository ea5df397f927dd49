"""Elements keep their past: names, units and types change by new versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from archiver.model import InvalidInputError, Kind, Metadata, NotFoundError, TransientError
from archiver.model.time import MIN_TIME
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


def test_a_renamed_element_is_found_by_both_names(store: Store):
    Catalog(store).register({"old": Kind.FLOAT})
    Catalog(store).describe("old", Metadata(), rename="new", valid_from=100)
    catalog = Catalog(store)
    assert catalog.get("old").name == catalog.get("new").name == "new"
    assert catalog.names("new") == catalog.names("old") == ("new", "old")
    assert catalog.names("never seen") == ("never seen",)


def test_every_former_name_finds_an_element_that_was_renamed_often(store: Store):
    catalog = Catalog(store)
    catalog.register({"a": Kind.FLOAT})
    for old, new in (("a", "b"), ("b", "c"), ("a", "d"), ("d", "b")):  # by a former name, and back to one
        catalog.describe(old, Metadata(), rename=new)
    for known in (catalog, Catalog(store)):
        assert known.aliases() == {"a": "b", "c": "b", "d": "b"}
        assert [version.name for version in known.elements()] == ["b"]
        assert known.names("a") == ("b", "d", "c", "a")


def test_an_alias_that_is_left_out_is_free_again(store: Store):
    catalog = Catalog(store)
    catalog.describe("a", Metadata(aliases=("x", "y")))
    catalog.describe("x", Metadata(aliases=("y",)))
    for known in (catalog, Catalog(store)):
        assert known.aliases() == {"y": "a"}
    catalog.describe("b", Metadata(aliases=("x",)))
    assert catalog.get("x").name == "b"


def test_an_element_that_the_disk_did_not_take_is_not_known(store: Store, monkeypatch: pytest.MonkeyPatch):
    catalog = Catalog(store)

    def fails(_self: Store) -> None:
        raise TransientError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "transaction", fails)
        with pytest.raises(TransientError):
            catalog.register({"a": Kind.FLOAT})
    assert catalog.kinds(["a"]).tolist() == [-1]
    catalog.register({"a": Kind.FLOAT})
    assert [version.name for version in Catalog(store).elements()] == ["a"]


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


def test_a_former_name_or_an_alias_is_not_registered_as_an_element(store: Store):
    catalog = Catalog(store)
    catalog.describe("old", Metadata(kind=Kind.FLOAT, aliases=("x",)))
    catalog.describe("old", Metadata(aliases=("x",)), rename="new")
    catalog.register({"old": Kind.TEXT, "x": Kind.INT, "other": Kind.INT})
    for known in (catalog, Catalog(store)):
        assert [(v.name, v.metadata.kind) for v in known.elements()] == [("new", Kind.FLOAT), ("other", Kind.INT)]
        assert known.aliases() == {"old": "new", "x": "new"}


def test_a_type_learned_beside_a_new_element_takes_no_number(store: Store):
    catalog = Catalog(store)
    for kinds in ({"a": Kind.NONE}, {"a": Kind.FLOAT, "b": Kind.INT}, {"c": Kind.TEXT}):
        catalog.register(kinds)
    catalog.describe("d", Metadata())
    for known in (catalog, Catalog(store)):
        assert [(v.element_id, v.name) for v in known.elements()] == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def test_a_listing_is_the_same_until_an_element_changes(store: Store):
    catalog = Catalog(store)
    catalog.register({"b": Kind.FLOAT, "a": Kind.INT})
    listing = catalog.listing()
    assert [version.name for version in listing.versions] == ["a", "b"]
    assert catalog.listing() is listing
    for change in (
        lambda: catalog.register({"c": Kind.TEXT}),
        lambda: catalog.describe("a", Metadata(unit="K")),
        lambda: catalog.describe("a", Metadata(), rename="d"),
    ):
        change()
        assert catalog.listing() is not listing
        listing = catalog.listing()
        assert list(listing.versions) == catalog.elements()
    assert [version.name for version in listing.versions] == ["b", "c", "d"]
