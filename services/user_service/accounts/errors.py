"""What can go wrong with an account."""

from __future__ import annotations

from titanium_common.errors import BadRequest, NotFound, ServiceError


class UsernameTaken(BadRequest):
    """Somebody has this username, perhaps in other letter case."""

    detail = "Username already exists"


class EmailTaken(BadRequest):
    """Somebody has this e-mail address."""

    detail = "Email already exists"


class UserNotFound(NotFound):
    """There is no such account."""

    detail = "User not found"


class WrongCredentials(ServiceError):
    """Name and password do not belong together."""

    status = 401
    detail = "Invalid username or password"
