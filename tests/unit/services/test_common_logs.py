"""What the process says of itself: requests and lanes are named, in text and in JSON."""

import json
import logging
import threading

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from archiver.config import LogSettings
from services.common import logs
from services.common.request_ids import RequestIds
from services.common.telemetry import RequestCounter, RequestCounts

_LOG = logging.getLogger("forebay.test")


@pytest.fixture(autouse=True)
def _as_before():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def answering():
    def route(request):  # a thread of the pool
        _LOG.warning("the disk is %s", "full")
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/a", route)])
    app.add_middleware(RequestCounter, counts=RequestCounts())
    app.add_middleware(RequestIds)
    return app


def test_each_line_of_a_request_has_its_id(request_to, capsys):
    logs.configure(LogSettings(format="json", level="info"))
    request_to(answering(), "GET", "/a", headers={"X-Request-Id": "r1"})
    told, asked = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert told["message"] == "the disk is full"
    assert (told["level"], told["logger"], told["request"], asked["request"]) == ("warning", "forebay.test", "r1", "r1")
    assert asked["message"].startswith("GET /a: 200 in ")
    assert asked["logger"] == "services.common.telemetry"
    assert told["time"].endswith("Z")


def test_text_names_the_request_as_well(request_to, capsys):
    logs.configure(LogSettings())
    request_to(answering(), "GET", "/a", headers={"X-Request-Id": "r1"})
    assert capsys.readouterr().err.splitlines() == ["WARNING the disk is full (request r1)"]


def test_what_a_lane_says_names_the_lane_and_an_error_its_trace(capsys):
    logs.configure(LogSettings(format="json"))

    def work():
        try:
            raise ValueError("no such row")
        except ValueError:
            _LOG.exception("it starts again")

    thread = threading.Thread(target=work, name="lane-warm")
    thread.start()
    thread.join()
    (line,) = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["lane"], found["message"]) == ("warm", "it starts again")
    assert "no such row" in found["trace"]
    assert "request" not in found


def test_what_is_below_the_level_is_not_told(capsys):
    logs.configure(LogSettings(level="error"))
    _LOG.warning("nothing")
    assert capsys.readouterr().err == ""
