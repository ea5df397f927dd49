"""Tags of short answers, and answers packed as the client takes them."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette_compress import CompressMiddleware

from services.common.caching import ConditionalGet

TEXT = "value\n" * 1000


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.state.answer = "a"
    app.add_middleware(ConditionalGet)
    app.add_middleware(CompressMiddleware, brotli=False)
    app.add_api_route("/now", lambda: {"answer": app.state.answer})
    app.add_api_route("/post", lambda: {"answer": 1}, methods=["POST"])
    app.add_api_route("/gone", lambda: JSONResponse({}, 404))
    app.add_api_route("/secret", lambda: PlainTextResponse("x", headers={"Cache-Control": "no-store"}))
    app.add_api_route("/streamed", lambda: StreamingResponse(iter([TEXT]), media_type="text/plain"))
    app.add_api_route("/text", lambda: PlainTextResponse(TEXT))
    app.add_api_route("/binary", lambda: PlainTextResponse(TEXT, media_type="application/vnd.apache.arrow.stream"))
    return app


def test_what_the_client_has_is_not_sent_again(app: FastAPI, request_to: Any) -> None:
    first = request_to(app, "GET", "/now")
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known in (tag, f'"x", {tag}', tag.removeprefix("W/"), "*"):
        again = request_to(app, "GET", "/now", headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert "content-length" not in again.headers
    app.state.answer = "b"
    changed = request_to(app, "GET", "/now", headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status_code, changed.json()) == (200, {"answer": "b"})
    assert changed.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/post"), ("GET", "/gone"), ("GET", "/secret"), ("GET", "/streamed")]
)
def test_others_have_no_tag(app: FastAPI, request_to: Any, method: str, path: str) -> None:
    assert "etag" not in request_to(app, method, path).headers


@pytest.mark.parametrize("path", ["/text", "/streamed"])
def test_text_is_packed_as_the_client_takes_it(app: FastAPI, request_to: Any, path: str) -> None:
    answer = request_to(app, "GET", path, headers={"Accept-Encoding": "gzip"})
    assert (answer.headers["content-encoding"], answer.text) == ("gzip", TEXT)
    assert "accept-encoding" in answer.headers["vary"].lower()
    plain = request_to(app, "GET", path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.text == TEXT
    assert len(gzip.compress(TEXT.encode())) < 100


def test_columns_are_not_packed(app: FastAPI, request_to: Any) -> None:
    answer = request_to(app, "GET", "/binary", headers={"Accept-Encoding": "gzip, zstd"})
    assert "content-encoding" not in answer.headers
