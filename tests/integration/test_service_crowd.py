"""A crowd of readers beside an ingest that goes on: each answer is right, and nothing that was acknowledged is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from archiver.testing.service import running_service
from bench import concurrent
from bench.service import post_all

READERS, ROUNDS = 60, 4
"""The long form is the bench ``concurrent``: 200 readers."""


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with running_service(tmp_path) as service:
        yield service.url
        assert service.errors() == ""


def test_answers_are_right_and_nothing_is_lost(url: str) -> None:
    """Any status but 200 of an answer, and any but 204 of what is sent, ends it."""
    post_all(url, "/api/v2/write", concurrent.history())
    with concurrent.ingesting(url) as sent:
        before = sent.value
        took = concurrent.crowd(url, READERS, ROUNDS)
        beside = sent.value - before
    assert sum(map(len, took.values())) == READERS * ROUNDS
    assert beside > 0, "the intake stood still while others read"
    assert concurrent.held(url) == sent.value
