"""What can go wrong with a login or a session; bodies as the contract has them."""

from __future__ import annotations

from typing import Any

from titanium_common.errors import Forbidden, ServiceError, Unauthorized


class FailedError(ServiceError):
    """Base of the errors whose body says `failed`."""

    def body(self) -> dict[str, Any]:
        """Status and message."""
        return {"status": "failed", "message": self.detail}


class InvalidCredentials(FailedError):
    """Name and password do not belong together."""

    status = 401
    detail = "Invalid username or password"


class LoginNeedsPost(FailedError):
    """Logging in takes a POST."""

    status = 401
    detail = "Log in with POST, username and password"


class AuthorizationMalformed(FailedError):
    """The Authorization header is missing or is not a bearer token."""

    status = 400
    detail = "Authorization header missing or malformed"


class VerifyExpired(FailedError):
    """The access token has expired."""

    status = 401
    detail = "Token has expired"


class VerifyInvalid(FailedError):
    """The access token is not one of ours."""

    status = 401
    detail = "Invalid token"


class SessionMissing(Unauthorized):
    """The request carries no refresh token."""

    detail = "No session"


class SessionOver(Unauthorized):
    """The session has ended: logged out, too old, its password changed, or its token was used twice."""

    detail = "The session has ended, log in again"


class WrongPassword(Forbidden):
    """The password given to confirm is not the account's."""

    detail = "Wrong password"


class CrossSite(Forbidden):
    """The request comes from another site's page."""

    detail = "Cross-site request refused"
