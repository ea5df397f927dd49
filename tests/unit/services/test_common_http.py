"""What all services share: formats, bodies, problems, metrics."""

import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from fastapi import FastAPI
from starlette.requests import Request

from archiver.model import BackpressureError, ConfigurationError, ForebayError, InvalidInputError, NotFoundError
from services.common import problems
from services.common.bodies import BodyBudget
from services.common.errors import BadParameterError, NotAcceptableError, TooLargeError, UnsupportedMediaError
from services.common.negotiation import choose, media_type_of
from services.common.problems import PROBLEMS, problem_of
from services.common.telemetry import Exposition

OFFERED = ["application/json", "text/csv"]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV", "text/csv"),
        ("text/*", "text/csv"),
        ("application/json;q=0.1, text/csv;q=0.2", "text/csv"),
        ("text/html, */*;q=0.1", "application/json"),
        ("application/json;q=0, */*", "text/csv"),
    ],
)
def test_the_clients_favourite_is_chosen(accept, chosen):
    assert choose(accept, OFFERED) == chosen


@pytest.mark.parametrize("accept", ["text/html", "text/csv;q=0", "application/json;q=x"])
def test_what_nobody_accepts_is_an_error_that_lists_what_there_is(accept):
    with pytest.raises(NotAcceptableError, match=r"application/json, text/csv"):
        choose(accept, OFFERED)


def test_the_media_type_is_without_its_parameters():
    assert media_type_of("Text/Plain; charset=utf-8") == "text/plain"
    assert media_type_of(None) == ""


PLAIN = b"m,element=a value=1 7\n" * 1000


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        (None, PLAIN),
        ("identity", PLAIN),
        ("gzip", gzip.compress(PLAIN, mtime=0)),
        ("GZIP", gzip.compress(PLAIN[:100], mtime=0) + gzip.compress(PLAIN[100:], mtime=0)),
        ("zstd", pa.compress(PLAIN, "zstd", asbytes=True)),
    ],
    ids=["none", "identity", "gzip", "two members", "zstd"],
)
def test_bodies_are_unpacked(encoding, packed):
    assert BodyBudget(len(PLAIN)).unpack(packed, encoding) == PLAIN


def test_a_bomb_is_not_unpacked():
    with pytest.raises(TooLargeError, match="larger than 1000 bytes"):
        BodyBudget(1000).unpack(gzip.compress(bytes(10**7), mtime=0), "gzip")


@pytest.mark.parametrize(
    "packed",
    [b"nonsense", gzip.compress(PLAIN, mtime=0)[:-20], zlib.compress(PLAIN)[:40]],
    ids=["nonsense", "cut", "zlib"],
)
def test_a_broken_body_is_an_input_error(packed):
    with pytest.raises(InvalidInputError, match="not gzip"):
        BodyBudget(10**6).unpack(packed, "gzip")


def test_an_unknown_encoding_lists_the_known_ones():
    with pytest.raises(UnsupportedMediaError, match=r"gzip, zstd"):
        BodyBudget(10).unpack(b"", "br")


def reading(budget):
    """An application that reads its body within a budget."""
    app = FastAPI()
    problems.install(app)

    @app.post("/")
    async def take(request: Request) -> int:
        async with budget.read(request) as body:
            return len(body)

    return app


def test_a_body_beyond_the_largest_is_413_and_gives_its_bytes_back(request_to):
    budget = BodyBudget(1000, bodies=1)
    app = reading(budget)
    assert request_to(app, "POST", "/", content=b"x" * 1001).status_code == 413
    assert request_to(app, "POST", "/", content=b"x" * 1000).json() == 1000


def test_a_crowd_of_bodies_is_asked_to_wait(request_to):
    budget = BodyBudget(1000, bodies=1)
    budget._free = 10  # others hold the rest
    answer = request_to(reading(budget), "POST", "/", content=b"x" * 11)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


def every_error(root=ForebayError):
    yield root
    for child in root.__subclasses__():
        yield from every_error(child)


def test_every_error_has_an_answer_and_no_two_rows_share_a_name():
    assert all(problem_of(error("x")) for error in every_error() if error.__init__ is Exception.__init__)
    names = [problem.name for problem in PROBLEMS.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (InvalidInputError("x"), 400, "invalid-input"),
        (NotFoundError("x"), 404, "not-found"),
        (BackpressureError("x", 2.5), 503, "full"),
        (ConfigurationError(["a: b"]), 400, "configuration"),
        (ForebayError("x"), 500, "internal"),
    ],
)
def test_errors_are_problem_documents(request_to, error, status, name):
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    answer = request_to(app, "GET", "/")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"urn:forebay:problem:{name}"
    assert document["detail"] == str(error)
    assert answer.headers.get("Retry-After") == ("3" if status == 503 else None)


def test_a_bad_parameter_names_parameter_value_and_fix():
    document = problems.document_of(BadParameterError("start", "1h", "write now-1h"))
    assert (document["parameter"], document["value"], document["fix"]) == ("start", "1h", "write now-1h")


def test_no_trace_reaches_the_client(request_to):
    app = FastAPI()
    problems.install(app)

    @app.get("/")
    async def fail() -> None:
        raise RuntimeError("the secret of the house")

    answer = request_to(app, "GET", "/")
    assert answer.status_code == 500
    assert answer.json()["type"] == "urn:forebay:problem:internal"
    assert "secret" not in answer.text


def test_metrics_escape_their_labels():
    text = Exposition()
    text.add("n", "counter", "What.", [({"reason": 'a "b"\\\n'}, 3), ({"reason": "c"}, 0.5)])
    assert text.render().splitlines()[2:] == [r'n{reason="a \"b\"\\\n"} 3', 'n{reason="c"} 0.5']


def test_the_reference_lists_every_problem():
    page = Path(__file__).parents[3] / "docs/reference/http-api.md"
    text = page.read_text(encoding="utf-8")
    assert [problem.name for problem in PROBLEMS.values() if f"`{problem.name}`" not in text] == []
