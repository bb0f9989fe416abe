"""auth-service's settings."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from titanium_common.settings import BackendSettings


class AuthSettings(BackendSettings):
    """What auth-service is told besides what all services are."""

    service: ClassVar[str] = "auth-service"

    port: Annotated[int, Field(ge=1, le=65535)] = 8002
    database_user: str = "auth_service"

    jwt_key_dir: Path
    """Folder with `current.pem`, and perhaps `previous.pem`: Ed25519 private keys, PKCS#8."""
    access_token_lifetime: Annotated[int, Field(ge=10, le=86400)] = 900
    """Seconds."""
    session_lifetime: Annotated[int, Field(ge=60)] = 30 * 86400
    """Seconds from a login until its refresh tokens end, however often they were renewed."""

    rate_limit_login: str = "120/minute"
    """Logins one client address may try; empty for no limit."""
    rate_limit_account: str = "10/minute"
    """Wrong passwords for one account, from wherever; empty for no limit."""
