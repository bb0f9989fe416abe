"""Text that PostgreSQL and JSON can hold."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


def storable(value: str) -> str:
    """Return `value`.

    Raises:
        PydanticCustomError: it holds a NUL character, which PostgreSQL refuses, or half of a surrogate pair, which
            UTF-8 cannot express.
    """
    if "\0" in value:
        raise PydanticCustomError("nul_character", "Text must not contain NUL characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("lone_surrogate", "Text must be valid Unicode") from None
    return value


def comparable(text: str) -> str:
    """Return what makes two names the same: compatibility forms and letter case do not tell them apart."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


Text = Annotated[str, AfterValidator(storable)]
"""A string to use in schemas instead of `str`; add a `Field` with its length."""
