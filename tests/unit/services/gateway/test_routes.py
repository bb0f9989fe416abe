"""The table of routes."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.routes import Upstream, resolve


@pytest.mark.parametrize(
    ("path", "upstream", "arrives", "template"),
    [
        ("/", Upstream.BLOG, "/blog/", "/"),
        ("/blog/", Upstream.BLOG, "/blog/", "/blog/*"),
        ("/blog/api/posts/1", Upstream.BLOG, "/blog/api/posts/1", "/blog/api/*"),
        ("/blog/static/a.js", Upstream.BLOG, "/blog/static/a.js", "/blog/static/*"),
        ("/api/login", Upstream.AUTH, "/login", "/api/login"),
        ("/api/auth/refresh", Upstream.AUTH, "/auth/refresh", "/api/auth/refresh"),
        ("/api/auth/verify", Upstream.AUTH, "/verify", "/api/auth/verify"),
        ("/api/register", Upstream.USER, "/users", "/api/register"),
        ("/api/users", Upstream.USER, "/users", "/api/users"),
        ("/api/users/%ea%b0%80", Upstream.USER, "/users/%EA%B0%80", "/api/users/{username}"),
        ("/api/users/a%3Fb%23", Upstream.USER, "/users/a%3Fb%23", "/api/users/{username}"),
    ],
)
def test_known(path: str, upstream: Upstream, arrives: str, template: str) -> None:
    target = resolve(unquote(path), path.encode())
    assert target is not None
    assert (target.upstream, target.path, target.template) == (upstream, arrives, template)


@given(st.text(st.characters(codec="utf-8")))
def test_nothing_leads_elsewhere(tail: str) -> None:
    """Whatever the path, what arrives is below a public path of the service."""
    for prefix in ("/", "/api/users/", "/blog/", "/api/"):
        path = prefix + tail
        target = resolve(path, path.encode())
        if target is None:
            continue
        arrives = unquote(target.path)
        if target.upstream is Upstream.BLOG:
            assert arrives.startswith("/blog/")
            assert "/../" not in arrives
        elif target.upstream is Upstream.USER:
            assert arrives == "/users" or (arrives.startswith("/users/") and arrives.count("/") == 2)
        assert target.path.isascii()
        assert not any(character in target.path for character in " ?#\r\n")
