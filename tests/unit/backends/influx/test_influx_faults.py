"""What a server or a network does wrong, and what becomes of the samples."""

import socket
import threading

import numpy as np
import pytest
from urllib3 import exceptions

from archiver.backends.influx import InfluxOptions, errors
from archiver.backends.influx.client import Client
from archiver.model import ConfigurationError, NotFoundError, PermanentError, TransientError
from archiver.ports import Position
from archiver.testing.backend_suite.base import batch, exact, model, read, sample
from archiver.testing.influxdb import influxql, running_server
from archiver.testing.rows import unambiguous

ROWS = [sample(i, float(i), element=name) for name in "ab" for i in range(50)]


@pytest.fixture
def double(influxdb2):
    """The stand-in for InfluxDB 2; all goes well again afterwards."""
    yield influxdb2
    influxdb2.spoil()


def impatient(backend, path: str, requests: int) -> None:
    """Have so many of the next requests to a path, which hang, given up after a moment: other ones may take long."""
    ask, left = backend._client()._pool.request, iter(range(requests))

    def request(method: str, url: str, **how):
        if path in url and next(left, None) is not None:
            how["timeout"] = 1.0
        return ask(method, url, **how)

    backend._client()._pool.request = request


FAULTS = {
    "unavailable": {"code": 503},
    "too many requests": {"code": 429, "retry_after": 7},
    "internal error": {"code": 500},
    "no permission": {"code": 403},
    "hangs": {"hang": 3600},
    "connection dropped": {"drop": True},
    "reply lost": {"after_write": True},
}


@pytest.mark.parametrize("writes", [1, 2, 3], ids=lambda number: f"{number} requests")
@pytest.mark.parametrize("name", list(FAULTS))
def test_a_spoilt_write_is_repeated_and_stores_once(opening, double, name: str, writes: int):
    """Whichever of its requests it hits: points, segments, or the commit."""
    backend = opening(double.url)
    backend.write({"g1": batch(sample(99))}, Position("journal", 1))
    double.spoil(n=writes, **FAULTS[name])
    if name == "hangs":
        impatient(backend, "/api/v2/write", writes)
    receipt, failures = None, []
    while receipt is None:
        try:
            receipt = backend.write({"g1": batch(*ROWS)}, Position("journal", 2))
        except TransientError as exc:
            failures.append(exc)
            assert backend.position("journal") == Position("journal", 2) or read(backend, "b") == []
    assert 1 <= len(failures) <= writes
    assert all("backend 'hot', write" in str(failure) for failure in failures)
    if name == "too many requests":
        assert [failure.retry_after_s for failure in failures] == [7] * len(failures)
    assert receipt.repeated or receipt.duplicates == 0
    assert read(backend, versions=True) == exact([sample(99), *ROWS])
    assert backend.coverage()[0].rows == len(ROWS) + 1


def test_a_lost_reply_of_the_commit_is_found_out(opening, double):
    """The journal position says that all was stored."""
    backend = opening(double.url)
    backend.write({}, Position("journal", 1))
    double.spoil(n=1, after_write=True)
    with pytest.raises(TransientError):
        backend.write({}, Position("journal", 2))
    assert backend.write({}, Position("journal", 2)).repeated


def test_a_wrong_token(opening, double, monkeypatch: pytest.MonkeyPatch):
    """Somebody may mend it: the lane waits, and no sample is put aside."""
    monkeypatch.setenv("INFLUX_TOKEN", "wrong")
    with pytest.raises(TransientError, match=r"401: unauthorized access; check INFLUX_TOKEN"):
        opening(double.url)


def test_user_and_password(opening, database, monkeypatch: pytest.MonkeyPatch):
    """InfluxDB 1 with authentication: nobody, somebody without rights, and somebody with them."""
    with running_server({"INFLUXDB_HTTP_AUTH_ENABLED": "true"}) as server:
        influxql(server.url, "", "CREATE USER root WITH PASSWORD 'secret' WITH ALL PRIVILEGES")
        monkeypatch.setenv("INFLUX_PASSWORD", "wrong")
        with pytest.raises(TransientError, match="401: authorization failed; check INFLUX_TOKEN, or user"):
            opening(server.url, user="root")
        monkeypatch.setenv("INFLUX_PASSWORD", "secret")
        backend = opening(server.url, user="root")
        backend.write({"g1": batch(*ROWS)})
        backend.close()
        client = Client(InfluxOptions(url=server.url, database=database, user="root"), "root")
        client.query("CREATE USER reader WITH PASSWORD 'secret'")
        client.query(f'GRANT READ ON "{database}" TO reader')
        client.close()
        assert read(opening(server.url, user="reader", read_only=True)) == exact(ROWS)
        with pytest.raises(TransientError, match="403"):
            opening(server.url, user="reader").write({"g1": batch(sample(99))})


def test_an_unknown_organization(opening, double):
    with pytest.raises(NotFoundError, match='organization name "nobody" not found'):
        opening(double.url, organization="nobody")


def test_queries_that_fail(opening, double):
    backend = opening(double.url)
    backend.write({"g1": batch(*ROWS)})
    for fault in ({"code": 503}, {"drop": True}, {"hang": 3600}):
        double.spoil(n=1, path="/query", **fault)
        if "hang" in fault:
            impatient(backend, "/query", 1)
        with pytest.raises(TransientError, match="backend 'hot', query"):
            read(backend, "a")
    assert len(read(backend, "a")) == 50


def test_a_database_that_drops_by_itself_is_refused(opening, ask, database):
    ask(f'CREATE DATABASE "{database}" WITH DURATION 24h')
    with pytest.raises(ConfigurationError, match="drops what is older than 24h0m0s"):
        opening()


def test_a_bucket_that_drops_by_itself_is_refused(opening, double, ask, database):
    ask(f'CREATE DATABASE "{database}" WITH DURATION 24h')
    with pytest.raises(ConfigurationError, match="drops what is older than 86400 s"):
        opening(double.url)


def test_a_database_that_is_gone(opening, ask, database):
    """No sample is to blame; the lane opens the backend again, which makes another."""
    backend = opening()
    backend.write({"g1": batch(*ROWS)}, Position("journal", 1))
    ask(f'DROP DATABASE "{database}"')
    with pytest.raises(TransientError, match="not found"):
        backend.write({"g1": batch(*ROWS)}, Position("journal", 2))
    assert read(backend, "a") == []
    backend.open()
    backend.write({"g1": batch(*ROWS)}, Position("journal", 2))
    assert read(backend) == exact(ROWS)


def test_not_an_influxdb(opening):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(TransientError, match="no InfluxDB answers"):
            opening(url)
        thread.join()
    with pytest.raises(TransientError, match="the server is not reached"):
        opening(url)


def test_a_server_that_is_killed_and_comes_back(opening):
    """What was acknowledged is there, once; a write that was on its way is repeated."""
    with running_server() as server:
        backend = opening(server.url)
        backend.write({"g1": batch(*ROWS)}, Position("journal", 1))

        def cut(_: object) -> None:
            server.kill()

        late = [sample(100 + i, float(i)) for i in range(50)]
        with pytest.raises(TransientError):
            backend.write({"g1": batch(*late)}, Position("journal", 2), cut)
        with pytest.raises(TransientError):
            backend.position("journal")
        server.start()
        assert backend.position("journal") == Position("journal", 1)
        assert read(backend, versions=True) == exact(ROWS)
        assert backend.write({"g1": batch(*late)}, Position("journal", 2)).duplicates == 0
        assert read(backend, versions=True) == exact([*ROWS, *late])
        backend.close()


SAMPLE_IS_THE_REASON = [
    (400, b'{"error":"partial write: unable to parse \'x\': missing fields dropped=0"}'),
    (400, b'{"code":"invalid","message":"unable to parse \'org=x\': missing fields"}'),
    (422, b'{"code":"unprocessable entity","message":"failure writing points: partial write: conflict dropped=1"}'),
    (413, b"Request Entity Too Large"),
]
SOMETHING_ELSE_IS = [
    (400, b'{"error":"database is required"}'),
    (400, b'{"code":"invalid","message":"Please provide either orgID or org"}'),
    (401, b'{"error":"authorization failed"}'),
    (403, b"{}"),
    (404, b'{"error":"database not found: \\"x\\""}'),
    (429, b""),
    (500, b'{"error":"engine: error writing WAL entry: no space left on device"}'),
    (500, b'{"error":"timeout"}'),
    (503, b"<html>"),
]


@pytest.mark.parametrize(("status", "body"), SAMPLE_IS_THE_REASON)
def test_a_sample_is_the_reason(status: int, body: bytes):
    assert isinstance(errors.refused_write(status, {}, body, "here"), PermanentError)


@pytest.mark.parametrize(("status", "body"), SOMETHING_ELSE_IS)
def test_no_sample_is_the_reason(status: int, body: bytes):
    error = errors.refused_write(status, {}, body, "here")
    assert isinstance(error, TransientError)
    assert str(error).startswith(f"here: {status}: ")
    assert isinstance(error, errors.NotTakenError) is (status != 500)


def test_every_error_of_urllib3_has_a_verdict():
    own = {
        kind for kind in vars(exceptions).values() if isinstance(kind, type) and kind.__module__ == "urllib3.exceptions"
    }
    others = {kind for kind in own if not issubclass(kind, exceptions.HTTPError | Warning)}
    assert others == {exceptions.ProxySchemeUnsupported}  # there is no proxy
    with pytest.raises(TransientError, match="there: ProtocolError: cut off"), errors.translated("there"):
        raise exceptions.ProtocolError("cut off")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_faults_in_any_order(opening, double, seed: int):
    """New, late, known and corrected samples, each write spoilt in some way and repeated: as if nothing had been."""
    random = np.random.default_rng(seed)
    expected, backend = model(), opening(double.url)
    kinds = [{"code": 503}, {"code": 500}, {"drop": True}, {"after_write": True}]
    for offset in range(30):
        rows = [
            sample(int(time), float(value), element="ab"[time % 2], received=offset, sequence=int(value % 2))
            for time, value in zip(random.integers(0, 40, 12), random.integers(0, 3, 12), strict=True)
        ]
        parts = {"g1": unambiguous(batch(*rows)), "g2": unambiguous(batch(*rows[:4]))}
        double.spoil(n=int(random.integers(0, 4)), **random.choice(kinds))
        receipt = None
        while receipt is None:
            try:
                receipt = backend.write(parts, Position("journal", offset))
            except TransientError:
                if random.random() < 0.3:
                    double.spoil()
                    backend = opening(double.url)
        double.spoil()
        told = expected.write(parts, Position("journal", offset))
        assert receipt.repeated or receipt.duplicates == told.duplicates
    assert read(backend, versions=True) == read(expected, versions=True)
    assert read(backend, as_of=15) == read(expected, as_of=15)
    assert backend.coverage() == expected.coverage()
    assert backend.elements() == expected.elements()
