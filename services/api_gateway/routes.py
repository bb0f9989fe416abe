"""Which request goes where: the table `Routes at the edge` of the platform's HTTP contract. What is not here is 404."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_AUTH = {
    "/api/login": "/login",
    "/api/auth/verify": "/verify",
    "/api/auth/refresh": "/auth/refresh",
    "/api/auth/logout": "/auth/logout",
    "/api/auth/password": "/auth/password",
    "/api/auth/account/deletion": "/auth/account/deletion",
}
_USERS = {"/api/register": "/users", "/api/users": "/users"}
_USER = "/api/users/"
# Where the platform's earlier version checked credentials, for all the world.
_NEVER_A_USER = frozenset({"verify-credentials", ".", ".."})


class Upstream(Enum):
    """The services behind the gateway."""

    AUTH = "auth-service"
    USER = "user-service"
    BLOG = "blog-service"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes."""

    upstream: Upstream
    path: str
    """Path at the upstream, percent-encoded, without the query."""
    template: str
    """Name of the route in metrics and logs."""


_EXACT = {
    "/": Target(Upstream.BLOG, "/blog/", "/"),
    **{path: Target(Upstream.AUTH, upstream, path) for path, upstream in _AUTH.items()},
    **{path: Target(Upstream.USER, upstream, path) for path, upstream in _USERS.items()},
}


def resolve(path: str, raw_path: bytes) -> Target | None:
    """Return where a request goes; None for what is not at the edge.

    Args:
        path: the decoded path.
        raw_path: the path as it was sent.
    """
    target = _EXACT.get(path)
    if target is not None:
        return target
    if path.startswith("/blog/"):
        # A path that climbs is nobody's honest link; it ends here rather than in an upstream's idea of it.
        if "/../" in path or path.endswith("/.."):
            return None
        if path.startswith("/blog/api/"):
            template = "/blog/api/*"
        elif path.startswith("/blog/static/"):
            template = "/blog/static/*"
        else:
            template = "/blog/*"
        return Target(Upstream.BLOG, quote(raw_path, safe="/%:@!$&'()*+,;=~-._"), template)
    if path.startswith(_USER):
        username = path[len(_USER) :]
        if username and "/" not in username and username.casefold() not in _NEVER_A_USER:
            return Target(Upstream.USER, f"/users/{quote(username, safe='')}", "/api/users/{username}")
    return None
