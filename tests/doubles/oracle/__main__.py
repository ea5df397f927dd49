"""A server of Oracle's wire protocol over H2: ``python tests/doubles/oracle JAR [PLACE [PORT]]`` prints its port.

It poses as 19c (protocol 317, field version 12) and knows user scada with password tiger, service FREEPDB1. It proves
what a client does (login, variables, array binds with batch errors, Arrow fetches, direct path load, dropped
connections, lost replies), not what Oracle does: partitions, hints, locks, LOB locators and TLS are not in it.
It is a process of its own since a Java machine within pytest may hang at the end.
"""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

from database import Database, Store
from faults import Faults
from session import Session
from wire import Wire


def main() -> None:
    """Serve until the process ends."""
    jar = Path(sys.argv[1])
    store = Store(jar, sys.argv[2] if len(sys.argv) > 2 else "mem:oracle")
    faults = Faults()
    with socket.create_server(("127.0.0.1", int(sys.argv[3]) if len(sys.argv) > 3 else 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(client, store, faults), daemon=True).start()


def serve(client: socket.socket, store: Store, faults: Faults) -> None:
    """Serve one client; a session that cannot be opened ends that client, and nobody else waits for it."""
    Session(Wire(client), Database(store), faults).run()


main()
