"""Access tokens: verified in each service with auth-service's published keys, without a call per request."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Annotated, Any

import jwt
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from titanium_common.errors import ServiceUnavailable, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from fastapi.dependencies.models import Dependant
    from starlette.responses import Response

log = logging.getLogger(__name__)

ISSUER = "titanium/auth-service"
AUDIENCE = "titanium"
ALGORITHM = "EdDSA"
LEEWAY = 5
"""Seconds by which clocks may differ."""
KEYS_TTL = 300.0
"""Seconds after which the published keys are read again."""
KEYS_TIMEOUT = 3
"""Seconds that reading them may take."""
REFETCH_PAUSE = 5.0
"""Seconds between two fetches that an unknown key may trigger."""
_MAX_TOKEN = 4096
_REMEMBERED = 2048


class TokenExpired(Unauthorized):
    """The access token has expired."""

    detail = "Token has expired"


class TokenInvalid(Unauthorized):
    """The access token is not one of ours."""

    detail = "Invalid token"


class TokenMissing(Unauthorized):
    """There is no access token in the request."""

    detail = "Not authenticated"


class KeysUnavailable(ServiceUnavailable):
    """The keys that tokens are verified with have not been read yet."""


@dataclass(frozen=True, slots=True)
class User:
    """Who sends the request, as the access token says."""

    id: int
    username: str
    expires: int
    """Unix time at which the token ends."""
    session: str = ""
    """Identifier of the login that the token belongs to."""


def decode_token(token: str, keys: dict[str, jwt.PyJWK]) -> User:
    """Verify `token` and return whose it is.

    Args:
        token: a compact JWT.
        keys: public keys by `kid`.

    Raises:
        KeyError: the token names a key that is not in `keys`.
        TokenExpired: its time is over.
        TokenInvalid: anything else.
    """
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise TokenInvalid from error
    kid = header.get("kid")
    if not isinstance(kid, str) or header.get("alg") != ALGORITHM:
        raise TokenInvalid
    key = keys[kid]
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            leeway=LEEWAY,
            options={"require": ["exp", "iat", "sub", "iss", "aud"]},
        )
        return User(
            id=int(claims["sub"]),
            username=str(claims["username"]),
            expires=int(claims["exp"]),
            session=str(claims.get("sid", "")),
        )
    except jwt.ExpiredSignatureError as error:
        raise TokenExpired from error
    except (jwt.PyJWTError, KeyError, ValueError, TypeError) as error:
        raise TokenInvalid from error


def parse_jwks(document: Any) -> dict[str, jwt.PyJWK]:
    """Return the Ed25519 keys of a JWKS by `kid`; others are left out."""
    keys = {}
    for entry in document["keys"]:
        if entry.get("kty") == "OKP" and entry.get("crv") == "Ed25519" and isinstance(entry.get("kid"), str):
            keys[entry["kid"]] = jwt.PyJWK(entry, algorithm=ALGORITHM)
    return keys


class TokenVerifier:
    """Verifies access tokens with keys read from auth-service, and goes on with those it has while that is away."""

    def __init__(self, auth_service_url: str) -> None:
        """Prepare a verifier; call `open` to read the keys ahead of the first request."""
        # Not by `ServiceClient`: its library takes 9 MB, which is much for one request in five minutes.
        self._client = jwt.PyJWKClient(
            auth_service_url.rstrip("/") + "/.well-known/jwks.json", cache_jwk_set=False, timeout=KEYS_TIMEOUT
        )
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._lock = asyncio.Lock()
        self._background: asyncio.Task[None] | None = None
        self._known: dict[str, User] = {}

    async def open(self) -> None:
        """Read the keys in the background, and again every `KEYS_TTL`; soon again while that fails."""
        self._background = asyncio.create_task(self._keep_fresh())

    async def _keep_fresh(self) -> None:
        pause = 0.2
        while True:
            if await self._fetch():
                pause = 0.2
                await asyncio.sleep(KEYS_TTL)
            else:
                await asyncio.sleep(pause)
                pause = min(10.0, pause * 2)

    async def close(self) -> None:
        """Stop reading keys."""
        if self._background is not None:
            self._background.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._background

    async def _fetch(self) -> bool:
        self._tried = time.monotonic()
        try:
            keys = parse_jwks(await asyncio.to_thread(self._client.fetch_data))
        except (OSError, HTTPException, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
            log.warning("the keys of auth-service cannot be read: %s", error)
            return False
        if not keys:
            return False
        if keys.keys() != self._keys.keys():
            self._known.clear()
        self._keys = keys
        self._fetched = time.monotonic()
        return True

    async def verify(self, token: str) -> User:
        """Return whose `token` it is.

        Raises:
            TokenExpired, TokenInvalid: 401.
            KeysUnavailable: no key has been read yet; 503.
        """
        if len(token) > _MAX_TOKEN:
            raise TokenInvalid
        user = self._known.get(token)
        if user is not None:
            if user.expires + LEEWAY <= time.time():
                del self._known[token]
                raise TokenExpired
            return user
        try:
            user = decode_token(token, self._keys)
        except KeyError:
            # A key that came after the last fetch, or a made-up one: look once, and not more often than that.
            user = await self._verify_with_new_keys(token)
        if len(self._known) >= _REMEMBERED:
            self._known.pop(next(iter(self._known)))
        self._known[token] = user
        return user

    async def _verify_with_new_keys(self, token: str) -> User:
        async with self._lock:
            try:
                return decode_token(token, self._keys)
            except KeyError:
                if not self._keys or time.monotonic() - self._tried >= REFETCH_PAUSE:
                    await self._fetch()
        if not self._keys:
            raise KeysUnavailable
        try:
            return decode_token(token, self._keys)
        except KeyError:
            raise TokenInvalid from None


def bearer_token(request: Request) -> str:
    """Return the token of `Authorization: Bearer ...`; empty if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def authenticate(request: Request) -> User:
    """Return the request's user, verified once per request.

    Raises:
        TokenMissing, TokenExpired, TokenInvalid: 401.
        KeysUnavailable: 503.
    """
    user: User | None = getattr(request.state, "user", None)
    if user is None:
        token = bearer_token(request)
        if not token:
            raise TokenMissing
        verifier: TokenVerifier = request.app.state.tokens
        user = await verifier.verify(token)
        request.state.user = user
        request.scope["titanium"].log["user_id"] = user.id
    return user


_bearer = HTTPBearer(auto_error=False, description="An access token from `POST /api/login`.")


async def current_user(request: Request, _: Annotated[object, Depends(_bearer)] = None) -> User:
    """FastAPI dependency: the user, or 401. Use with `SecureRoute`, so that 401 comes before 422."""
    return await authenticate(request)


async def optional_user(request: Request, _: Annotated[object, Depends(_bearer)] = None) -> User | None:
    """FastAPI dependency: the user, or None without a token; a token that is wrong is 401 all the same."""
    if not bearer_token(request):
        return None
    return await authenticate(request)


CurrentUser = Annotated[User, Depends(current_user)]
OptionalUser = Annotated[User | None, Depends(optional_user)]


def _needs_user(dependant: Dependant) -> bool:
    return any(sub.call is current_user or _needs_user(sub) for sub in dependant.dependencies)


class SecureRoute(APIRoute):
    """A route that authenticates before it reads the body: whoever has no token learns nothing about the schema.

    Use as `APIRouter(route_class=SecureRoute)`; it acts on endpoints that depend on `current_user`.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the authentication before FastAPI's own handling."""
        handler = super().get_route_handler()
        if not _needs_user(self.dependant):
            return handler

        async def secure(request: Request) -> Response:
            await authenticate(request)
            return await handler(request)

        return secure
