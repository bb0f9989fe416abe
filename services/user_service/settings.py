"""user-service's settings."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from titanium_common.settings import BackendSettings


class UserSettings(BackendSettings):
    """What user-service is told besides what all services are."""

    service: ClassVar[str] = "user-service"

    port: Annotated[int, Field(ge=1, le=65535)] = 8001
    database_user: str = "user_service"

    # Argon2id as OWASP's cheat sheet has it. A login rehashes what was hashed with other parameters.
    argon2_memory: Annotated[int, Field(ge=8192, le=1048576)] = 19456
    """KiB that one hash takes."""
    argon2_time: Annotated[int, Field(ge=1, le=100)] = 2
    """Passes over that memory."""
    argon2_threads: Annotated[int, Field(ge=1, le=16)] = 2
    """Hashes computed at the same time; each takes a processor and `argon2_memory`."""
    argon2_queue: Annotated[int, Field(ge=0)] = 64
    """Hashes that may wait; more than that get 503."""

    rate_limit_register: str = "60/minute"
    """Accounts one client address may try to make; empty for no limit."""
