"""What goes in and out."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from titanium_common.text import Text

Password = Annotated[Text, Field(min_length=1, max_length=200)]


class LoginRequest(BaseModel):
    """A name and a password."""

    username: Annotated[Text, Field(min_length=1, max_length=100)]
    password: Password


class PasswordRequest(BaseModel):
    """A password and the one to replace it."""

    current_password: Password
    new_password: Annotated[Text, Field(min_length=8, max_length=200)]


class ConfirmRequest(BaseModel):
    """The password that confirms it."""

    password: Password


class SessionUser(BaseModel):
    """Who is logged in."""

    id: int
    username: str


class SessionResponse(BaseModel):
    """An access token; the refresh token is in the cookie."""

    status: Literal["success"] = "success"
    token: str
    token_type: Literal["Bearer"] = Field(default="Bearer")
    expires_in: int = Field(description="Seconds until the token ends.")
    user: SessionUser


class VerifiedToken(BaseModel):
    """What a token says."""

    user_id: int
    username: str
    exp: int = Field(description="Unix time at which the token ends.")


class VerifyResponse(BaseModel):
    """The token is valid."""

    status: Literal["success"] = "success"
    data: VerifiedToken
