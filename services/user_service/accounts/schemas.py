"""What goes in and out."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

import email_validator
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from titanium_common.text import Text, comparable

# The platform also runs in networks of its own, where addresses end in .local, .internal or .test.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

_USERNAME = re.compile(r"[\w.+-]+")
_RESERVED = frozenset({"verify-credentials", ".", ".."})
PASSWORD_MIN, PASSWORD_MAX = 8, 200


def _username(value: str) -> str:
    value = unicodedata.normalize("NFC", value)
    if not _USERNAME.fullmatch(value) or comparable(value) in _RESERVED:
        raise PydanticCustomError("username", "A username is made of letters, digits and . _ + -")
    return value


def _email(value: str) -> str:
    try:
        return email_validator.validate_email(value, check_deliverability=False).normalized
    except email_validator.EmailNotValidError:
        raise PydanticCustomError("email", "Not a valid e-mail address") from None


Username = Annotated[Text, Field(min_length=1, max_length=100), AfterValidator(_username)]
Email = Annotated[Text, Field(min_length=3, max_length=254), AfterValidator(_email)]
NewPassword = Annotated[Text, Field(min_length=PASSWORD_MIN, max_length=PASSWORD_MAX)]
GivenPassword = Annotated[Text, Field(min_length=1, max_length=PASSWORD_MAX)]


class Registration(BaseModel):
    """A new account."""

    username: Username
    email: Email
    password: NewPassword


class Account(BaseModel):
    """An account as others see it, or, with the e-mail address, as its owner does."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    username: str
    email: str | None = None


class Credentials(BaseModel):
    """A name and a password to check."""

    username: Annotated[Text, Field(min_length=1, max_length=100)]
    password: GivenPassword


class VerifiedAccount(BaseModel):
    """Whose the credentials are."""

    id: int
    username: str
    credentials_version: int


class PasswordChange(BaseModel):
    """A password and the one to replace it."""

    current_password: GivenPassword
    new_password: NewPassword


class Deletion(BaseModel):
    """The password that confirms it."""

    password: GivenPassword
