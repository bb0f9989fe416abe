"""JSON logs, one object a line on standard output, with the request they belong to."""

from __future__ import annotations

import logging
import sys
import time
import traceback
from asyncio import get_running_loop
from functools import lru_cache
from typing import IO, TYPE_CHECKING

import asyncpg
import orjson
from pydantic import ValidationError

from titanium_common.context import current

if TYPE_CHECKING:
    from asyncio import TimerHandle

FLUSH_INTERVAL = 0.2
"""Seconds access lines wait to be written together."""


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def _timestamp(seconds: float) -> str:
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03d}Z"


def _dumps(record: dict[str, object]) -> bytes:
    try:
        return orjson.dumps(record, default=repr, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # A lone surrogate or an integer beyond 64 bits.
        safe = {key: repr(value)[:2000].encode(errors="replace").decode() for key, value in record.items()}
        return orjson.dumps(safe, option=orjson.OPT_APPEND_NEWLINE)


def _traceback(error: BaseException | None) -> str:
    if isinstance(error, (asyncpg.PostgresError, ValidationError)):
        # Their words repeat data, an e-mail address say; where it happened is enough.
        return "".join(traceback.format_tb(error.__traceback__)) + type(error).__name__
    return "".join(traceback.format_exception(error))


class JsonFormatter(logging.Formatter):
    """Formats a record as JSON: time, level, service, logger, message, request and trace identifiers, exception."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of JSON, without the newline."""
        entry: dict[str, object] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "service": self.service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (context := current()) is not None:
            entry["request_id"] = context.request_id
            entry["trace_id"] = context.trace_id
        if record.exc_info:
            entry["exception"] = _traceback(record.exc_info[1])
        return _dumps(entry).decode().rstrip("\n")


class AccessLog:
    """Writes one line for each request, gathered for a moment so that a request costs no system call."""

    def __init__(self, service: str, stream: IO[bytes] | None = None) -> None:
        self._service = service
        self._stream = stream if stream is not None else sys.stdout.buffer
        self._lines: list[bytes] = []
        self._timer: TimerHandle | None = None

    def write(self, entry: dict[str, object]) -> None:
        """Write `entry`, with time and service added, within `FLUSH_INTERVAL`."""
        common = {"time": _timestamp(time.time()), "level": "info", "service": self._service, "message": "request"}
        self._lines.append(_dumps(common | entry))
        if self._timer is None:
            self._timer = get_running_loop().call_later(FLUSH_INTERVAL, self.flush)

    def flush(self) -> None:
        """Write what is waiting, now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines = self._lines, []
            self._stream.write(b"".join(lines))
            self._stream.flush()


def configure_logging(service: str, level: str) -> None:
    """Send every logger's records to standard output as JSON.

    Args:
        service: name that each line carries.
        level: least severe level that is written, such as `info`.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    # Requests have an access log of their own; asyncio's debug chatter helps nobody.
    logging.getLogger("uvicorn.access").propagate = False
    logging.getLogger("asyncio").setLevel("WARNING")
