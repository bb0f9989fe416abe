"""The cookie that holds the refresh token, and who may make a browser send it."""

from urllib.parse import urlsplit

from fastapi import Request

from auth_service.sessions.errors import CrossSite
from titanium_common.proxies import request_host, request_scheme

NAME = "refresh_token"


def _secure(request: Request) -> bool:
    return request_scheme(request.scope, request.app.state.settings.trusted_proxies) == "https"


def _name(request: Request) -> str:
    # A browser takes __Host- from this very host and over HTTPS alone: no other subdomain can plant one.
    return f"__Host-{NAME}" if _secure(request) else NAME


def read_cookie(request: Request) -> str:
    """Return the refresh token; empty if there is none."""
    return request.cookies.get(_name(request), "")


def cookie_header(request: Request, token: str, max_age: int) -> str:
    """Return the `Set-Cookie` that stores `token` for `max_age` seconds; an empty token and 0 remove it."""
    secure = "; Secure" if _secure(request) else ""
    return f"{_name(request)}={token}; Path=/; Max-Age={max_age}; HttpOnly; SameSite=Strict{secure}"


async def same_origin(request: Request) -> None:
    """FastAPI dependency: refuse what another site's page made a browser send.

    Browsers say where a request comes from in `Sec-Fetch-Site` (over HTTPS and on localhost) and, for all but plain
    reads, in `Origin`. What sends neither is no browser, and holds no cookie it was not given.

    Raises:
        CrossSite: 403.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site in {"same-origin", "none"}:
            return
        raise CrossSite
    origin = request.headers.get("origin")
    if origin is None:
        return
    host = request_host(request.scope, request.app.state.settings.trusted_proxies)
    if urlsplit(origin).netloc.lower() != host:
        raise CrossSite
