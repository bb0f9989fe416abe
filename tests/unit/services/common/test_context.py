"""Identifiers of a request."""

from __future__ import annotations

import re

import pytest

from titanium_common.context import current, new_context, propagation_headers, reset_current, set_current

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-00".encode()


def test_well_formed_ones_go_on() -> None:
    context = new_context(b"abc", PARENT, b"vendor=1")
    assert (context.request_id, context.trace_id, context.flags) == ("abc", TRACE, "00")
    assert context.tracestate == "vendor=1"
    assert context.span_id != "00f067aa0ba902b7"
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-00", context.traceparent)


@pytest.mark.parametrize(
    "traceparent",
    [
        b"",
        b"nonsense",
        PARENT.upper(),
        PARENT[:-1],
        b"ff" + PARENT[2:],
        PARENT.replace(TRACE.encode(), b"0" * 32),
        PARENT.replace(b"00f067aa0ba902b7", b"0" * 16),
    ],
)
def test_others_begin_anew(traceparent: bytes) -> None:
    context = new_context(b"", traceparent, b"vendor=1")
    assert re.fullmatch("[0-9a-f]{32}", context.trace_id)
    assert context.trace_id != TRACE
    assert context.tracestate == ""


def test_a_later_version_is_understood() -> None:
    assert new_context(b"", b"01" + PARENT[2:] + b"-more", b"").trace_id == TRACE


@pytest.mark.parametrize("request_id", [b"", b"with space", b"x" * 129, b"a\n", b"\xff"])
def test_request_ids_that_are_none_are_replaced(request_id: bytes) -> None:
    assert re.fullmatch("[0-9a-f]{32}", new_context(request_id, b"", b"").request_id)


def test_propagation() -> None:
    assert current() is None
    assert propagation_headers() == {}
    context = new_context(b"abc", PARENT, b"vendor=1")
    token = set_current(context)
    try:
        assert current() is context
        assert propagation_headers() == {
            "x-request-id": "abc",
            "traceparent": context.traceparent,
            "tracestate": "vendor=1",
        }
    finally:
        reset_current(token)
