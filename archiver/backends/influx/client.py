"""The HTTP face of InfluxDB: one connection pool, and what the three major versions do differently."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import urllib3

from archiver.backends.influx import errors, layout, names
from archiver.backends.influx.options import InfluxOptions
from archiver.model import ConfigurationError, NotFoundError, TransientError
from archiver.model.interruption import interruptible

CONNECTIONS = 8
CHUNK_ROWS = 20_000
_LINES = {"Content-Type": "text/plain; charset=utf-8"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
_JSON = {"Content-Type": "application/json"}


class Client:
    """Requests to one database (bucket) of one server; may be used by several threads.

    Parameters
    ----------
    options : InfluxOptions
        Credentials are taken from the environment: ``INFLUX_TOKEN``, or ``INFLUX_PASSWORD`` with the option `user`.
    where : str
        Start of every message.
    """

    def __init__(self, options: InfluxOptions, where: str) -> None:
        self._options = options
        self._where = where
        self._url = options.url.rstrip("/")
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS,
            retries=False,
            timeout=urllib3.Timeout(total=None, connect=options.timeout / 1e9, read=options.timeout / 1e9),
            headers=self._credentials(),
            ca_certs=options.ca_file,
        )
        self._mark: tuple[str, bytes] | None = None
        self.major = 0

    def connect(self) -> None:
        """Find out which version answers.

        Raises
        ------
        TransientError
            None does.
        """
        with self._request("GET", "/ping", "ping") as answer:
            version = answer.headers.get("X-Influxdb-Version", "")
            if answer.status >= 300:
                raise errors.refused_query(answer.status, answer.headers, answer.read(), f"{self._where}, ping")
        found = re.match(r"v?(\d+)\.", version)
        if found is None:
            raise TransientError(f"{self._where}, ping: no InfluxDB answers at {self._url} (version {version!r})")
        self.major = int(found[1])

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    # -- writing --------------------------------------------------------------------------------------

    def write(self, body: Any) -> None:
        """Post lines; return when they are durable.

        Parameters
        ----------
        body : buffer
            Whole lines of line protocol, times in ns.

        Raises
        ------
        TransientError
            None or all of the lines are stored.
        PermanentError
            Some lines are refused; others may be stored.
        """
        place = {"db": self._options.database, "precision": "ns"}
        path = "/write"
        if self.major >= 2:
            place = {"bucket": self._options.database, "precision": "ns"}
            place |= {"org": self._options.organization} if self._options.organization else {}
            path = "/api/v2/write"
        with self._request("POST", f"{path}?{urlencode(place)}", "write", body, _LINES) as answer:
            if answer.status >= 300:
                raise errors.refused_write(answer.status, answer.headers, answer.read(), f"{self._where}, write")

    # -- reading --------------------------------------------------------------------------------------

    def query(self, statement: str) -> list[dict[str, Any]]:
        """Return the rows of a short answer, each by its columns, tags of GROUP BY among them."""
        with self._query(statement, "application/json") as answer:
            document = json.loads(answer.read())
        found = []
        for result in document.get("results", [document]):
            if "error" in result:
                raise errors.failed_statement(result["error"], f"{self._where}, query")
            for series in result.get("series", []):
                tags, columns = series.get("tags", {}), series["columns"]
                found += [tags | dict(zip(columns, row, strict=True)) for row in series.get("values", [])]
        return found

    @contextmanager
    def csv(self, statement: str, mark: str) -> Iterator[Answer]:
        """Lend the answer of a statement, to be read as a stream of CSV.

        InfluxDB does not say in CSV that a statement failed half-way. So another statement follows, which is not run
        then: without its known answer at the end this one is not whole.

        Parameters
        ----------
        mark : str
            The other statement; its answer must not change.
        """
        if self.major >= 3:  # takes one statement at a time
            with self._query(statement, "application/csv") as answer, errors.translated(f"{self._where}, query"):
                yield Answer(answer, b"", self._where)
            return
        if self._mark is None or self._mark[0] != mark:
            with self._query(mark, "application/csv") as answer:
                self._mark = mark, answer.read()
        with (
            self._query(f"{statement}; {mark}", "application/csv") as answer,
            errors.translated(f"{self._where}, query"),
        ):
            yield Answer(answer, self._mark[1], self._where)

    # -- databases ------------------------------------------------------------------------------------

    def make_database(self) -> None:
        """Make the database or bucket where there is none, to keep everything for ever.

        Raises
        ------
        ConfigurationError
            There is one that drops what is old by itself.
        NotFoundError
            The organization does not exist.
        """
        kept_s = {1: self._policy, 2: self._bucket}.get(self.major, lambda: 0)()
        if kept_s:
            raise ConfigurationError(
                [
                    f"database: {self._options.database!r} drops what is older than {kept_s}, unseen by this archive; "
                    "let it keep everything (retention infinite), and give the groups a retention"
                ]
            )

    def make_table(self, group: str) -> None:
        """Make the table of a group in InfluxDB 3, which fixes the tags of a table; others need none."""
        if self.major < 3:
            return
        table = {"db": self._options.database, "table": group, "tags": list(layout.SAMPLE_TAGS), "fields": []}
        body = json.dumps(table).encode()
        with self._request("POST", "/api/v3/configure/table", "open", body, _JSON) as answer:
            if answer.status >= 300 and answer.status != 409:  # it is there
                raise errors.refused_query(answer.status, answer.headers, answer.read(), f"{self._where}, open")

    def _policy(self) -> str | int:
        """Return how long a database of 1.x keeps data, 0 for ever; make it when it is missing."""
        name = names.identifier(self._options.database)
        try:
            policies = self.query(f"SHOW RETENTION POLICIES ON {name}")
        except NotFoundError:
            self.query(f"CREATE DATABASE {name} WITH DURATION INF")
            return 0
        kept = next((str(policy["duration"]) for policy in policies if policy["default"]), "0s")
        return 0 if kept == "0s" else kept

    def _bucket(self) -> str | int:
        """Return how long a bucket of 2.x keeps data, 0 for ever; make it when it is missing."""
        options = self._options
        asked = urlencode({"name": options.database, "org": options.organization})
        try:
            found = self._json("GET", f"/api/v2/buckets?{asked}")["buckets"]
        except NotFoundError:
            found = []
        for bucket in found:
            seconds = max((rule.get("everySeconds", 0) for rule in bucket.get("retentionRules", [])), default=0)
            return f"{seconds} s" if seconds else 0
        (owner,) = self._json("GET", f"/api/v2/orgs?{urlencode({'org': options.organization})}")["orgs"]
        self._json("POST", "/api/v2/buckets", {"orgID": owner["id"], "name": options.database, "retentionRules": []})
        return 0

    # -- requests -------------------------------------------------------------------------------------

    def _json(self, method: str, path: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        with self._request(method, path, "open", body, _JSON) as answer:
            content = answer.read()
            if answer.status >= 300:
                raise errors.refused_query(answer.status, answer.headers, content, f"{self._where}, open")
        return json.loads(content)

    @contextmanager
    def _query(self, statement: str, accept: str) -> Iterator[urllib3.BaseHTTPResponse]:
        asked = {"db": self._options.database, "epoch": "ns", "q": statement}
        if accept == "application/csv":
            asked |= {"chunked": "true", "chunk_size": str(CHUNK_ROWS)}
        headers = {**_FORM, "Accept": accept}
        with self._request("POST", "/query", "query", urlencode(asked).encode(), headers) as answer:
            if answer.status >= 300:
                raise errors.refused_query(answer.status, answer.headers, answer.read(), f"{self._where}, query")
            yield answer

    @contextmanager
    def _request(
        self, method: str, path: str, doing: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Lend an answer; one that is not read to its end is cut off, which ends the query at the server."""
        with errors.translated(f"{self._where}, {doing}"):
            answer = self._pool.request(
                method,
                self._url + path,
                body=body,
                headers={**self._pool.headers, **(headers or {})},
                preload_content=False,
                redirect=False,
            )
            try:
                with interruptible(answer.shutdown):
                    yield answer
                    answer.drain_conn()
            except BaseException:
                answer.close()
                raise
            finally:
                answer.release_conn()

    def _credentials(self) -> dict[str, str]:
        token, user = os.environ.get("INFLUX_TOKEN", ""), self._options.user
        if user:
            return dict(urllib3.make_headers(basic_auth=f"{user}:{os.environ.get('INFLUX_PASSWORD', '')}"))
        return {"Authorization": f"Token {token}"} if token else {}


class Answer:
    """A stream of CSV, as a file, that ends with a known mark.

    Parameters
    ----------
    response : urllib3.BaseHTTPResponse
    mark : bytes
        What a complete answer ends with.
    where : str
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, mark: bytes, where: str) -> None:
        self._response = response
        self._mark = mark
        self._where = where
        self._held = b""
        self._done = False
        self.closed = False

    def read(self, size: int) -> bytes:
        """Return some bytes, none at the end.

        Raises
        ------
        TransientError
            The answer ends before its mark.
        """
        keep = len(self._mark) + 1
        while not self._done and len(self._held) <= keep:
            with errors.translated(f"{self._where}, query"):
                more = self._response.read(max(size, keep))
            self._held += more
            if not more:
                self._finish()
        if self._done:
            given, self._held = self._held, b""
        else:
            given, self._held = self._held[:-keep], self._held[-keep:]
        return given

    def _finish(self) -> None:
        self._done = True
        if not self._held.endswith(self._mark):
            raise TransientError(f"{self._where}, query: the answer is cut short: {errors.message(self._held)}")
        end = len(self._held) - len(self._mark)
        self._held = self._held[:end].removesuffix(b"\n" if self._mark else b"")

    def __bool__(self) -> bool:
        return True
