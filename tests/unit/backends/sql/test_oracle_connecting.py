"""From a URL to a connection, and from an error to what becomes of a write."""

import oracledb
import pytest
from oracledb import errors
from sqlalchemy import make_url

from archiver.backends.sql.dialects.oracle import codes
from archiver.backends.sql.dialects.oracle.connecting import PASSWORD_VARIABLE, arguments
from archiver.backends.sql.errors import KeyTakenError
from archiver.model import ConfigurationError, PermanentError, TransientError

WATCHFUL = {"tcp_connect_timeout": 10.0, "expire_time": 1}


@pytest.fixture(autouse=True)
def _no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSWORD_VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "oracle+oracledb://u:p@h:1522?service_name=s",
            {"user": "u", "password": "p", "host": "h", "port": 1522, "service_name": "s"},
        ),
        ("oracle://u@h/XE", {"user": "u", "host": "h", "port": 1521, "sid": "XE"}),
        ("oracle+oracledb://u@alias?config_dir=/tns", {"user": "u", "dsn": "alias", "config_dir": "/tns"}),
        (
            "oracle+oracledb://u@h:2484?service_name=s&protocol=tcps&wallet_location=/w&wallet_password=x"
            "&ssl_server_dn_match=true&ssl_server_cert_dn=CN%3Dh&use_sni=false&retry_count=3&expire_time=2",
            {
                "user": "u",
                "host": "h",
                "port": 2484,
                "service_name": "s",
                "protocol": "tcps",
                "wallet_location": "/w",
                "wallet_password": "x",
                "ssl_server_dn_match": True,
                "ssl_server_cert_dn": "CN=h",
                "use_sni": False,
                "retry_count": 3,
                "expire_time": 2,
            },
        ),
    ],
)
def test_arguments(url: str, expected: dict[str, object]) -> None:
    given = arguments(make_url(url))
    assert given == WATCHFUL | expected
    oracledb.ConnectParams(**{name: value for name, value in given.items() if name != "dsn"})  # it knows all of them


def test_tls_reaches_the_descriptor() -> None:
    given = arguments(make_url("oracle+oracledb://u@h:2484?service_name=s&protocol=tcps&ssl_server_dn_match=true"))
    descriptor = oracledb.ConnectParams(**given).get_connect_string()
    assert "(PROTOCOL=tcps)(HOST=h)(PORT=2484)" in descriptor
    assert "(SSL_SERVER_DN_MATCH=ON)" in descriptor.upper()


def test_the_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "secret")
    assert arguments(make_url("oracle://u@h/XE"))["password"] == "secret"
    assert arguments(make_url("oracle://u:own@h/XE"))["password"] == "own"


def test_every_wrong_parameter_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        arguments(make_url("oracle://u@h/XE?walet=/w&expire_time=soon&use_sni=perhaps"))
    unknown, number, switch = caught.value.problems
    assert unknown.startswith("url: no such parameter: walet; known are cclass, config_dir")
    assert number == "url: expire_time=soon: write a number"
    assert switch == "url: use_sni=perhaps: write true or false"


DRIVER_ERRORS = {
    value: name for name, value in vars(errors).items() if name.startswith("ERR_") and isinstance(value, int)
}


def test_the_walk_finds_the_errors() -> None:
    assert len(DRIVER_ERRORS) > 150


@pytest.mark.parametrize("number", sorted(DRIVER_ERRORS), ids=lambda number: DRIVER_ERRORS[number])
def test_every_error_of_the_driver_is_mapped(number: int) -> None:
    assert number in codes.DRIVER


@pytest.mark.parametrize(
    "code", ["ORA-01017", "ORA-28001", "ORA-12541", "DPY-6005", "DPY-4001", "DPY-2018", "DPY-4027"]
)
def test_what_keeps_one_from_connecting_costs_no_sample(code: str) -> None:
    assert codes.verdict_of(code) is TransientError


@pytest.mark.parametrize(
    "code", ["ORA-00054", "ORA-00060", "ORA-01555", "ORA-01653", "ORA-03113", "ORA-30006", "ORA-00600"]
)
def test_what_the_server_brought_about_is_worth_a_retry(code: str) -> None:
    assert codes.verdict_of(code) is TransientError


@pytest.mark.parametrize(
    "code", ["ORA-00942", "ORA-01031", "ORA-01438", "ORA-12899", "ORA-14300", "ORA-02290", "DPY-8000"]
)
def test_what_a_sample_or_a_table_brought_about_is_not(code: str) -> None:
    assert codes.verdict_of(code) is PermanentError


def test_a_key_that_is_there_is_looked_up() -> None:
    assert codes.verdict_of("ORA-00001") is KeyTakenError
