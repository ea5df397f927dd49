"""What is to go wrong next; a client asks for it by ``BEGIN fault('name'); END;``."""

from __future__ import annotations

import re
import threading
import time

from wire import OracleError, Wire

_ASKED = re.compile(r"\s*BEGIN fault\('(\w+)'\); END;", re.IGNORECASE)
NAMES = ("drop_statement", "drop_before_commit", "lose_reply", "disk_full", "slow")
SLOW_S = 1.0


class Faults:
    """Faults that wait for their moment; each happens once, to whichever client comes first."""

    def __init__(self) -> None:
        self._armed: list[str] = []
        self._lock = threading.Lock()

    def arm(self, statement: str) -> bool:
        """Return whether a statement asks for a fault, and remember it."""
        asked = _ASKED.match(statement)
        if not asked:
            return False
        if asked[1] not in NAMES:
            raise OracleError(6550, f"no such fault: {asked[1]}; there are {', '.join(NAMES)}")
        with self._lock:
            self._armed.append(asked[1])
        return True

    def before_statement(self, wire: Wire, statement: str) -> None:
        if re.match(r"\s*(insert|merge)\b", statement, re.IGNORECASE):
            if self._take("drop_statement"):
                wire.drop()
            if self._take("disk_full"):
                raise OracleError(1653, "unable to extend table SCADA.SAMPLES by 8192 in tablespace USERS")
        if self._take("slow"):
            time.sleep(SLOW_S)

    def before_commit(self, wire: Wire) -> None:
        if self._take("drop_before_commit"):
            wire.drop()

    def after_commit(self, wire: Wire) -> None:
        if self._take("lose_reply"):
            wire.drop()

    def _take(self, name: str) -> bool:
        with self._lock:
            if name not in self._armed:
                return False
            self._armed.remove(name)
            return True
