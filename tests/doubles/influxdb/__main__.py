"""A stand-in for InfluxDB 2 or 3: their HTTP faces before a real InfluxDB 1, with faults on demand.

``python influxdb VERSION UPSTREAM TOKEN ORGANIZATION`` prints its port. Checked against a real 2.7.12, whose answers
it gives word for word where a client may depend on them. It has no Flux, and no rights of a token. As version 3 it only
takes one statement at a time and deletes nothing, as that version's documentation says; no real one was at hand.

``POST /__fault`` with ``{"n": 2, "code": 503, "retry_after": 1}`` spoils the next two writes; ``hang`` (s), ``drop``
and ``after_write`` (stored, and the reply lost) instead of ``code``; ``path`` to spoil ``/query``.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import lines

MAJOR, UPSTREAM, TOKEN, ORGANIZATION = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4]
VERSION = {"2": "v2.7.12", "3": "3.4.1"}[MAJOR]
CODES = {
    400: "invalid",
    401: "unauthorized",
    404: "not found",
    422: "unprocessable entity",
    429: "too many requests",
    503: "unavailable",
}
NO_FAULT = {
    "n": 0,
    "code": 503,
    "retry_after": None,
    "hang": 0,
    "drop": False,
    "after_write": False,
    "path": "/api/v2/write",
}
fault: dict[str, Any] = dict(NO_FAULT)
lock = threading.Lock()
tables: dict[tuple[str, str], set[str]] = {}
"""Tags of each table of version 3, by database and name."""


def upstream(method: str, path: str, body: bytes | None, headers: dict[str, str], **query: str) -> Any:
    """Return the answer of the real server, read to its end."""
    host, _, port = UPSTREAM.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=300)
    connection.request(method, f"{path}?{urlencode(query)}", body, headers)
    answer = connection.getresponse()
    answer.content = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


def influxql(statement: str) -> tuple[str | None, list[list[Any]]]:
    """Return the error of a statement, or the rows."""
    (result,) = json.loads(upstream("POST", "/query", None, {}, q=statement).content)["results"]
    return result.get("error"), (result.get("series") or [{}])[0].get("values", [])


def quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def identity(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together: apart, each answer waits 40 ms for an acknowledgement
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        self.send_header("X-Influxdb-Build", "OSS")
        self.send_header("X-Influxdb-Version", VERSION)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def reply_json(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(document, separators=(",", ":")).encode()
        self.reply(status, content, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})

    def refuse(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        code = CODES.get(status, "internal error")
        self.reply_json(status, {"code": code, "message": message}, {"X-Platform-Error-Code": code, **(headers or {})})

    def do_GET(self) -> None:
        path, query = self.target()
        if path == "/ping":
            return self.reply(204)
        if not self.authorized(path):
            return None
        if path == "/api/v2/orgs" and query.get("org") == ORGANIZATION:
            return self.reply_json(200, {"orgs": [{"id": identity(ORGANIZATION), "name": ORGANIZATION}]})
        if path == "/api/v2/orgs":
            return self.refuse(404, f'organization name "{query.get("org")}" not found')
        if path == "/api/v2/buckets":
            found = self.bucket(query.get("name", ""))
            return self.reply_json(200, {"buckets": [found] if found else []})
        return self.refuse(404, "path not found")

    def do_POST(self) -> None:
        path, query = self.target()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if path == "/__fault":
            fault.update(NO_FAULT | json.loads(body))
            return self.reply(204)
        spoilt = self.spoilt(path)
        if spoilt and not fault["after_write"]:
            if fault["hang"]:
                time.sleep(fault["hang"])
            if fault["drop"] or fault["hang"]:
                return self.cut_off()
            retry = {} if fault["retry_after"] is None else {"Retry-After": str(fault["retry_after"])}
            return self.refuse(fault["code"], "injected", retry)
        if not self.authorized(path):
            return None
        if path == "/query":
            return self.answer_query(query | dict(parse_qsl(body.decode())))
        if path == "/api/v3/configure/table" and MAJOR == "3":
            wanted = json.loads(body)
            tags = tables.setdefault((wanted["db"], wanted["table"]), set(wanted["tags"]))
            return self.reply(200 if tags == set(wanted["tags"]) else 409)
        if path == "/api/v2/buckets" and MAJOR == "2":
            return self.make_bucket(json.loads(body))
        if path == "/api/v2/write":
            return self.store(query, body, spoilt)
        return self.refuse(404, "path not found")

    # -- parts ----------------------------------------------------------------------------------------

    def target(self) -> tuple[str, dict[str, str]]:
        address = urlsplit(self.path)
        return address.path, dict(parse_qsl(address.query))

    def spoilt(self, path: str) -> bool:
        with lock:
            if fault["n"] <= 0 or path != fault["path"]:
                return False
            fault["n"] -= 1
            return True

    def cut_off(self) -> None:
        self.close_connection = True
        self.connection.close()

    def authorized(self, path: str) -> bool:
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic" and path == "/query":
            given = base64.b64decode(given).decode().partition(":")[2]
        if given == TOKEN:
            return True
        self.refuse(401, "Unauthorized" if path == "/query" and given else "unauthorized access")
        return False

    def bucket(self, name: str) -> dict[str, Any] | None:
        error, rows = influxql(f"SHOW RETENTION POLICIES ON {quoted(name)}")
        if error or not name:
            return None
        kept = next(row[1] for row in rows if row[4])
        units = {"h": 3600, "m": 60, "s": 1}
        seconds = sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", kept))
        rules = [{"type": "expire", "everySeconds": seconds}]
        return {"id": identity(name), "orgID": identity(ORGANIZATION), "name": name, "retentionRules": rules}

    def make_bucket(self, wanted: dict[str, Any]) -> None:
        name = wanted["name"]
        seconds = sum(rule.get("everySeconds", 0) for rule in wanted.get("retentionRules") or [])
        if wanted["orgID"] != identity(ORGANIZATION):
            return self.refuse(404, "organization not found")
        if self.bucket(name):
            return self.refuse(422, f"bucket with name {name} already exists")
        influxql(f"CREATE DATABASE {quoted(name)}" + (f" WITH DURATION {seconds}s" if seconds else ""))
        return self.reply_json(201, self.bucket(name))

    def answer_query(self, query: dict[str, str]) -> None:
        statement = " ".join(query.get("q", "").split())
        words = statement.upper().split()
        if MAJOR == "3" and (";" in re.sub(r"'(?:[^'\\]|\\.)*'", "", statement) or words[0] == "DELETE"):
            return self.reply_json(400, {"error": "must provide only one SELECT or SHOW statement per query"})
        if words[0] in ("CREATE", "ALTER", "GRANT") or (
            words[0] == "DROP" and words[1] not in ("MEASUREMENT", "DATABASE")
        ):
            return self.reply_json(200, {"results": [{"statement_id": 0, "error": f"not implemented: {words[0]}"}]})
        accept = {"Accept": self.headers.get("Accept", "application/json")}
        answer = upstream("POST", "/query", None, accept, **{k: v for k, v in query.items() if k not in ("u", "p")})
        if answer.status == 400:
            return self.refuse(400, json.loads(answer.content)["error"].replace("error parsing", "failed to parse"))
        return self.reply(answer.status, answer.content, {"Content-Type": answer.headers["Content-Type"]})

    def store(self, query: dict[str, str], body: bytes, reply_is_lost: bool) -> None:
        name = query.get("bucket", "")
        if query.get("precision", "ns") not in ("ns", "us", "ms", "s"):
            return self.refuse(400, "invalid precision; valid precision units are ns, us, ms, and s")
        if MAJOR == "2" and not query.get("org"):
            return self.refuse(400, "Please provide either orgID or org")
        if MAJOR == "2" and query["org"] != ORGANIZATION:
            return self.refuse(404, f'organization name "{query["org"]}" not found')
        if MAJOR == "3":
            influxql(f"CREATE DATABASE {quoted(name)}")  # that version makes it with the first write
            for line in body.splitlines():
                measurement, *tags = (word.decode() for word in re.split(rb"(?<!\\),", re.split(rb"(?<!\\) ", line)[0]))
                given = {tag.partition("=")[0] for tag in tags}
                if not given <= tables.setdefault((name, measurement), given):
                    return self.refuse(400, f"new tags in table {measurement}: tags of a table never change")
        elif not self.bucket(name):
            return self.refuse(404, f'bucket "{name}" not found')

        def ask(line: bytes) -> tuple[int, bytes]:
            answer = upstream("POST", "/write", line, {}, db=name, rp="__unparsed")
            return answer.status, answer.content

        if unparsed := "\n".join(lines.refused(body, ask)):
            return self.refuse(400, unparsed)
        answer = upstream("POST", "/write", body, {}, db=name)
        if answer.content == b'{"error":"field type conflict"}\n':
            answer = upstream("POST", "/write", body, {}, db=name)  # in a new shard it takes the good lines only then
        if reply_is_lost:
            return self.cut_off()
        if answer.status == 204:
            return self.reply(204)
        said = json.loads(answer.content or b"{}").get("error", "")
        if "partial write" in said:
            return self.refuse(422, f"failure writing points to database: {said}")
        return self.refuse(500, f"unexpected error writing points to database: {said}")


class Server(ThreadingHTTPServer):
    """Ends with the process, whatever connections are open."""

    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    server = Server(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
