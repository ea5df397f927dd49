"""What the process says of itself: lines of text, or of JSON, that name the request or the lane they are about."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from archiver.config import LogSettings
from services.common.request_ids import current

_LANE = "lane-"


def configure(settings: LogSettings) -> None:
    """Write what is logged to the error stream, in a form and from a level on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if settings.format == "json" else TextLines())
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)
    for chatty in ("httpx", "httpcore", "asyncio", "urllib3"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, logging.getLogger().level))


class TextLines(logging.Formatter):
    """Level and message, and the id of the request where there is one."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        request = current()
        return super().format(record) + (f" (request {request})" if request else "")


class JsonLines(logging.Formatter):
    """A JSON object per line: time, level, logger, message, and request, lane and trace where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line.

        Examples
        --------
        >>> line = JsonLines().format(logging.makeLogRecord({"msg": "full", "levelname": "WARNING", "created": 0}))
        >>> json.loads(line)["time"]
        '1970-01-01T00:00:00.000000Z'
        """
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        thread = record.threadName or ""
        line = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request": current(),
            "lane": thread.removeprefix(_LANE) if thread.startswith(_LANE) else "",
            "trace": self.formatException(record.exc_info) if record.exc_info else "",
        }
        return json.dumps({key: value for key, value in line.items() if value}, ensure_ascii=False)
