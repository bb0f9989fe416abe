"""Settings and sockets before a service starts."""

from __future__ import annotations

import socket

import pytest

from titanium_common.server import listen, load
from titanium_common.settings import BackendSettings, Settings


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8123")
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    monkeypatch.setenv("TRUSTED_PROXIES", "2")
    settings = load(BackendSettings)
    assert (settings.port, settings.trusted_proxies) == (8123, 2)
    assert settings.database_password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(settings)


def test_safe_defaults() -> None:
    assert (Settings().trusted_proxies, BackendSettings().trusted_proxies) == (0, 1)
    assert Settings().redis_host == ""


def test_each_wrong_variable_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PORT", "hunter2")
    monkeypatch.setenv("DATABASE_POOL_SIZE", "0")
    with pytest.raises(SystemExit) as caught:
        load(Settings)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "environment variable PORT: " in error
    assert "environment variable DATABASE_POOL_SIZE: " in error
    assert "hunter2" not in error


def test_listen() -> None:
    with listen("127.0.0.1", 0) as first:
        first.listen()
        with pytest.raises(SystemExit, match="cannot listen on 127"):
            listen("127.0.0.1", first.getsockname()[1])
    if socket.has_ipv6:
        with listen("::1", 0) as six:
            assert six.family == socket.AF_INET6
