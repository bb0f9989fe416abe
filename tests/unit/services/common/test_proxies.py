"""Who the client is."""

from __future__ import annotations

from typing import Any

import pytest

from titanium_common.proxies import client_address, client_network, request_host, request_scheme


def scope(*headers: tuple[str, str], peer: str | None = "10.0.0.1") -> dict[str, Any]:
    """An ASGI scope with these headers."""
    return {
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "client": (peer, 1) if peer else None,
        "scheme": "http",
    }


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ([], 0, "10.0.0.1"),
        (["1.1.1.1"], 0, "10.0.0.1"),
        (["1.1.1.1"], 1, "1.1.1.1"),
        (["9.9.9.9, 1.1.1.1"], 1, "1.1.1.1"),
        (["9.9.9.9, 1.1.1.1, 2.2.2.2"], 2, "1.1.1.1"),
        (["9.9.9.9", "1.1.1.1"], 1, "1.1.1.1"),
        (["1.1.1.1"], 2, "10.0.0.1"),
        ([], 1, "10.0.0.1"),
        (["not an address"], 1, "10.0.0.1"),
        (["1.1.1.1, "], 1, "1.1.1.1"),
        (["2001:db8::1"], 1, "2001:db8::1"),
        (["[2001:DB8::1]"], 1, "2001:db8::1"),
        (["\u0661.1.1.1"], 1, "10.0.0.1"),
    ],
)
def test_client_address(forwarded: list[str], proxies: int, address: str) -> None:
    headers = [("x-forwarded-for", value) for value in forwarded]
    assert client_address(scope(*headers), proxies) == address


def test_without_a_peer() -> None:
    assert client_address(scope(peer=None), 0) == "unknown"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", "unknown"),
    ],
)
def test_client_network(address: str, network: str) -> None:
    assert client_network(address) == network


@pytest.mark.parametrize(
    ("proto", "proxies", "scheme"),
    [
        ("https", 0, "http"),
        ("https", 1, "https"),
        ("HTTPS", 1, "https"),
        ("http, https", 1, "https"),
        ("ftp", 1, "http"),
    ],
)
def test_request_scheme(proto: str, proxies: int, scheme: str) -> None:
    assert request_scheme(scope(("x-forwarded-proto", proto)), proxies) == scheme


def test_request_host() -> None:
    headers = (("host", "Inside:8002"), ("x-forwarded-host", "Blog.example.org"))
    assert request_host(scope(*headers), 0) == "inside:8002"
    assert request_host(scope(*headers), 1) == "blog.example.org"
    assert request_host(scope(headers[0]), 1) == "inside:8002"
