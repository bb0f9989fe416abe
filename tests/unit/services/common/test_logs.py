"""Logs: one JSON object a line, and nothing that must not be there."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from typing import TYPE_CHECKING

import asyncpg

from titanium_common import logs
from titanium_common.context import new_context, reset_current, set_current
from titanium_common.logs import AccessLog, JsonFormatter, configure_logging

if TYPE_CHECKING:
    import pytest


def record(message: str = "hello %s", *args: object, error: BaseException | None = None) -> logging.LogRecord:
    """A log record."""
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("x.y", logging.WARNING, "", 1, message, args, info)


def test_a_line() -> None:
    entry = json.loads(JsonFormatter("svc").format(record("hello %s", "you\nthere")))
    assert entry.pop("time").endswith("Z")
    assert entry == {"level": "warning", "service": "svc", "logger": "x.y", "message": "hello you\nthere"}
    assert "\n" not in JsonFormatter("svc").format(record("a\nb"))


def test_the_request_it_belongs_to() -> None:
    token = set_current(new_context(b"abc", b"", b""))
    try:
        entry = json.loads(JsonFormatter("svc").format(record("x")))
    finally:
        reset_current(token)
    assert entry["request_id"] == "abc"
    assert len(entry["trace_id"]) == 32


def test_what_json_cannot_hold_is_logged_all_the_same() -> None:
    assert "\\\\ud800" in JsonFormatter("svc").format(record("%s", "\ud800"))


def raised(error: BaseException) -> BaseException:
    """`error`, with a traceback."""
    try:
        raise error
    except BaseException as caught:  # noqa: BLE001
        return caught


def test_tracebacks_are_kept_but_the_databases_words_are_not() -> None:
    formatter = JsonFormatter("svc")
    assert "RuntimeError: why" in formatter.format(record("x", error=raised(RuntimeError("why"))))
    line = formatter.format(record("x", error=raised(asyncpg.UniqueViolationError("Key (email)=(a@b.c) exists"))))
    assert "UniqueViolationError" in line
    assert "test_logs.py" in line
    assert "a@b.c" not in line


async def test_access_lines_are_written_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FLUSH_INTERVAL", 0.01)
    stream = io.BytesIO()
    log = AccessLog("svc", stream)
    log.flush()
    log.write({"path": "/a", "size": 2**70})
    log.write({"path": "/b"})
    assert stream.getvalue() == b""
    await asyncio.sleep(0.05)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["path"] for line in lines] == ["'/a'", "/b"]
    log.write({"path": "/c"})
    log.flush()
    assert b'"/c"' in stream.getvalue()


def test_configure(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers)
    level = root.level
    try:
        configure_logging("svc", "warning")
        logging.getLogger("a").info("not this")
        logging.getLogger("uvicorn.error").error("this")
        logging.getLogger("uvicorn.access").error("nor this")
    finally:
        root.setLevel(level)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["message"] == "this"
    assert sys.stdout is not None
