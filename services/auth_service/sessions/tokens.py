"""Access tokens as auth-service makes and verifies them."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING

from titanium_common.tokens import AUDIENCE, ISSUER, TokenInvalid, User, decode_token

if TYPE_CHECKING:
    from auth_service.keys import SigningKeys


class AccessTokens:
    """Issues access tokens, and verifies them without asking anyone."""

    def __init__(self, keys: SigningKeys, lifetime: int) -> None:
        """Sign with `keys`; tokens live for `lifetime` seconds."""
        self._keys = keys
        self.lifetime = lifetime

    @property
    def jwks(self) -> bytes:
        """The public keys as a JWKS document."""
        return self._keys.jwks

    def issue(self, user_id: int, username: str, session: str) -> str:
        """Return a token for a user of the login `session`."""
        now = int(time.time())
        return self._keys.sign(
            {
                "iss": ISSUER,
                "aud": AUDIENCE,
                "sub": str(user_id),
                "user_id": user_id,
                "username": username,
                "sid": session,
                "jti": uuid.uuid4().hex,
                "iat": now,
                "exp": now + self.lifetime,
            }
        )

    async def verify(self, token: str) -> User:
        """Return whose `token` it is; same as the other services' `TokenVerifier.verify`.

        Raises:
            TokenExpired, TokenInvalid: 401.
        """
        try:
            return decode_token(token, self._keys.public)
        except KeyError:
            raise TokenInvalid from None
