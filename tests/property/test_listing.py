"""A listing finds what looking at each element finds, and works out what is asked once."""

from __future__ import annotations

import fnmatch
import re
import threading

from hypothesis import example, given
from hypothesis import strategies as st

from archiver.model import ElementVersion, Metadata
from archiver.model.listing import Listing

ALPHABET = "aA%_\\*?[]!-^.\n+(ßẞé:1"
TEXTS = st.text(ALPHABET, max_size=6)


def listing(names: list[str], descriptions: dict[str, str] | None = None) -> Listing:
    told = descriptions or {}
    versions = (
        ElementVersion(n, name, 0, Metadata(description=told.get(name, ""))) for n, name in enumerate(sorted(names))
    )
    return Listing(versions)


@given(st.sets(TEXTS, max_size=12), TEXTS)
@example({"a%b", "a_b", "a\\b", "a\nb", ""}, "a?b")
@example({"a%b", "axb"}, "a%*")
@example({"a\nb", "ab"}, "*")
@example({"a", "b", "[ab]"}, "[ab]")
def test_a_glob_finds_what_fnmatch_does(names: set[str], glob: str) -> None:
    match = re.compile(fnmatch.translate(glob)).match
    asked = listing(list(names))
    assert [asked.versions[n].name for n in asked.matching(glob)] == [name for name in sorted(names) if match(name)]


@given(st.dictionaries(TEXTS, TEXTS, max_size=12), TEXTS)
@example({"straße": "x", "b": "STRASSE"}, "strasse")
def test_a_text_is_found_in_name_or_description_in_any_case(told: dict[str, str], text: str) -> None:
    asked, wanted = listing(list(told), told), text.casefold()
    assert [asked.versions[n].name for n in asked.matching(text=text)] == [
        name for name in sorted(told) if wanted in name.casefold() or wanted in told[name].casefold()
    ]


def test_both_have_to_hold() -> None:
    asked = listing(["a1", "a2", "b1"], {"a1": "inlet", "b1": "inlet"})
    assert asked.matching("a*", "INLET").tolist() == [0]


def test_what_is_worked_out_is_kept_and_not_without_bound() -> None:
    asked, made = listing(["a"]), []
    for _ in range(3):
        assert asked.derived("x", lambda own: made.append(own) or len(own.versions)) == 1
    assert made == [asked]
    together, both = threading.Barrier(4), []
    threads = [
        threading.Thread(target=lambda: (together.wait(), asked.derived("y", lambda own: both.append(own) or own)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert both == [asked]
    for number in range(1000):
        asked.derived(number, lambda own: [len(own.versions)])
    assert len(asked._kept) < 100
