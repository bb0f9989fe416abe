"""What a user is told when something cannot be applied."""

from __future__ import annotations

from typing import Any


class ApplyError(Exception):
    """A problem in the words of the person who has to mend it.

    Parameters:
        message: one or more lines; the first says what is wrong, the last how to mend it.
        details: values for the module's result, such as ``objects`` or ``conflicts``.
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class Unreachable(ApplyError):
    """There is no API server to talk to (yet): no configuration, connection refused, name unknown."""


class ApiError(ApplyError):
    """The API server's answer to one request, other than success.

    Parameters:
        status: HTTP status.
        body: the ``Status`` object that came with it; empty if there was none.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body.get("message") or f"HTTP status {status}"))
        self.status = status
        self.reason = str(body.get("reason") or "")
        self.causes: list[dict[str, Any]] = (body.get("details") or {}).get("causes") or []
        self.kind = str((body.get("details") or {}).get("kind") or "")
