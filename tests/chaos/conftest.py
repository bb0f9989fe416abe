"""Chaos tests break the running local platform on purpose; they share the end-to-end tests' helpers."""

from __future__ import annotations

from tests.e2e.conftest import platform

__all__ = ["platform"]
