"""From a database URL to the arguments of `oracledb.connect`; wallets, TLS and proxies are its own parameters.

SQLAlchemy would make a connect descriptor of host, port and service first, and in that the protocol is plain TCP.
"""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy import URL

from archiver.model import ConfigurationError

PASSWORD_VARIABLE = "ORACLE_PASSWORD"
_DEFAULTS: dict[str, Any] = {  # a dead network is noticed within two minutes
    "tcp_connect_timeout": 10.0,
    "expire_time": 1,
}
_PLACE = ("service_name", "protocol", "config_dir", "https_proxy", "server_type")
_SECURITY = ("wallet_location", "wallet_password", "ssl_server_cert_dn", "ssl_version")
_SWITCHES = ("ssl_server_dn_match", "use_sni")
_TYPES: dict[str, Any] = (
    dict.fromkeys((*_PLACE, *_SECURITY, "edition", "cclass", "program"), str)
    | dict.fromkeys(("https_proxy_port", "retry_count", "retry_delay", "expire_time", "sdu"), int)
    | {"tcp_connect_timeout": float}
    | dict.fromkeys(_SWITCHES, {"true": True, "false": False}.__getitem__)
)


def arguments(url: URL) -> dict[str, Any]:
    """Return the arguments of `oracledb.connect` that a URL stands for.

    ``oracle+oracledb://user@host:1521?service_name=name`` names a service, ``…/name`` in its place a SID, and
    ``oracle+oracledb://user@alias?config_dir=/folder`` an entry of ``tnsnames.ora``.

    Raises
    ------
    ConfigurationError
        A parameter is unknown, or its value is of another type.
    """
    found = _DEFAULTS | {"user": url.username, "password": url.password or os.environ.get(PASSWORD_VARIABLE)}
    if url.database or "service_name" in url.query:
        found |= {"host": url.host, "port": url.port or 1521, "sid": url.database or None}
    else:
        found["dsn"] = url.host
    problems = []
    for name, value in url.query.items():
        convert = _TYPES.get(name)
        try:
            if convert is None:
                problems.append(f"url: no such parameter: {name}; known are {', '.join(sorted(_TYPES))}")
            else:
                found[name] = convert(value)
        except (KeyError, ValueError):
            problems.append(f"url: {name}={value}: write {'true or false' if name in _SWITCHES else 'a number'}")
    if problems:
        raise ConfigurationError(problems)
    return {name: value for name, value in found.items() if value is not None}
