"""Text that can be stored."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from titanium_common.text import Text, comparable


@pytest.mark.parametrize("text", ["", "plain", "한국어", "😀", "\U0010ffff", "a\tb\nc\u202e"])
def test_storable(text: str) -> None:
    assert TypeAdapter(Text).validate_python(text) == text


@pytest.mark.parametrize(("text", "kind"), [("a\0", "nul_character"), ("\ud800", "lone_surrogate")])
def test_not_storable(text: str, kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Text).validate_python(text)
    assert caught.value.errors()[0]["type"] == kind


@pytest.mark.parametrize(
    ("one", "two"), [("Alice", "aLICE"), ("straße", "STRASSE"), ("ﬁ", "FI"), ("Ａ", "a"), ("é", "e\u0301")]
)
def test_comparable(one: str, two: str) -> None:
    assert comparable(one) == comparable(two)


def test_different_names_differ() -> None:
    assert comparable("a") != comparable("b")
