"""Who the client is, seen through a known number of proxies."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope


def _header(scope: Scope, name: bytes) -> str:
    # A header sent twice is one list (RFC 9110, 5.2).
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key == name)


def client_address(scope: Scope, trusted_proxies: int) -> str:
    """Return the client's IP address.

    Each trusted proxy has appended the address it was called from to `X-Forwarded-For`, so the one that counts is as
    many places from the end; what stands before it was written by the client and means nothing.

    Args:
        scope: the ASGI scope.
        trusted_proxies: how many proxies in front append to `X-Forwarded-For`.
    """
    peer = scope["client"][0] if scope.get("client") else "unknown"
    if trusted_proxies == 0:
        return str(peer)
    chain = [part.strip() for part in _header(scope, b"x-forwarded-for").split(",") if part.strip()]
    if len(chain) < trusted_proxies:
        return str(peer)
    candidate = chain[-trusted_proxies]
    try:
        return str(ipaddress.ip_address(candidate.removeprefix("[").split("]")[0]))
    except ValueError:
        return str(peer)


def client_network(address: str) -> str:
    """Return what a rate limit counts by: the IPv4 address, or the /64 that one IPv6 customer has for themself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


def request_scheme(scope: Scope, trusted_proxies: int) -> str:
    """Return `https` or `http`: what the client speaks to the outermost trusted proxy."""
    if trusted_proxies:
        forwarded = _header(scope, b"x-forwarded-proto").split(",")[-1].strip().lower()
        if forwarded in {"http", "https"}:
            return forwarded
    return str(scope["scheme"])


def request_host(scope: Scope, trusted_proxies: int) -> str:
    """Return the host (and port) that the client addressed, in lower case."""
    if trusted_proxies and (forwarded := _header(scope, b"x-forwarded-host").split(",")[-1].strip()):
        return forwarded.lower()
    return _header(scope, b"host").lower()
