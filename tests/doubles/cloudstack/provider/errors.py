"""What goes wrong, and telling IDs from names."""

from __future__ import annotations

import re

_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}")


class ProviderError(Exception):
    """What the user reads."""


class GoneError(ProviderError):
    """The entity does not exist (any more)."""


def is_id(value: str) -> bool:
    """Whether the value is an ID rather than a name."""
    return _UUID.fullmatch(value) is not None
