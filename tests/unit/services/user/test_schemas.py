"""What a name, an address and a password may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from user_service.accounts.schemas import Registration

GOOD = {"username": "alice", "email": "alice@example.org", "password": "long enough"}


@pytest.mark.parametrize(
    "username", ["a", "Alice", "a.b-c_d+e", "한국어", "user123", "x" * 100, "日本", "straße", "e\u0301"]
)
def test_usernames(username: str) -> None:
    assert Registration(**GOOD | {"username": username}).username


@pytest.mark.parametrize("username", ["", " ", "a b", "a@b", "a/b", "<b>", "a\u200bb", "\u202e", ".", "..", "x" * 101])
def test_no_usernames(username: str) -> None:
    with pytest.raises(ValidationError):
        Registration(**GOOD | {"username": username})


def test_composed_letters_are_stored_composed() -> None:
    assert Registration(**GOOD | {"username": "e\u0301"}).username == "é"


@pytest.mark.parametrize("email", ["a@b.c", "a+b@example.org", "me@intranet.local", "me@host.test", "한@한국.kr"])
def test_addresses(email: str) -> None:
    assert "@" in Registration(**GOOD | {"email": email}).email


@pytest.mark.parametrize("email", ["", "a", "@b.c", "a@", "a@b@c.d", "a b@c.d", "a@b..c", "Name <a@b.c>", "a@b.c\n"])
def test_no_addresses(email: str) -> None:
    with pytest.raises(ValidationError):
        Registration(**GOOD | {"email": email})


@given(st.fixed_dictionaries(dict.fromkeys(GOOD, st.text(st.characters(), max_size=120) | st.none() | st.integers())))
def test_anything_is_accepted_or_refused_but_never_breaks(body: dict[str, object]) -> None:
    try:
        registration = Registration.model_validate(body)
    except ValidationError:
        return
    for text in (registration.username, registration.email, registration.password):
        assert "\0" not in text
        text.encode()
