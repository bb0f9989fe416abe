"""The routes. Those under `/auth` and `/login` are reached through the gateway, below `/api`."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from auth_service.sessions.cookies import cookie_header, read_cookie, same_origin
from auth_service.sessions.errors import (
    AuthorizationMalformed,
    CrossSite,
    InvalidCredentials,
    LoginNeedsPost,
    SessionMissing,
    SessionOver,
    VerifyExpired,
    VerifyInvalid,
    WrongPassword,
)
from auth_service.sessions.schemas import (
    ConfirmRequest,
    LoginRequest,
    PasswordRequest,
    SessionResponse,
    SessionUser,
    VerifiedToken,
    VerifyResponse,
)
from auth_service.sessions.service import IssuedSession, SessionService
from titanium_common.app import state
from titanium_common.errors import JsonResponse, ServiceUnavailable, TooManyRequests, Unauthorized, responses
from titanium_common.text import comparable
from titanium_common.tokens import (
    CurrentUser,
    SecureRoute,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    bearer_token,
)

router = APIRouter(tags=["sessions"], route_class=SecureRoute)


def service(request: Request) -> SessionService:
    """The application's session service."""
    result: SessionService = request.app.state.sessions
    return result


Sessions = Annotated[SessionService, Depends(service)]
_TOKEN_ERRORS = (TokenMissing, TokenExpired, TokenInvalid)


def _answer(request: Request, response: Response, session: IssuedSession) -> SessionResponse:
    response.headers["Set-Cookie"] = cookie_header(request, session.refresh_token, session.seconds_left)
    response.headers["Cache-Control"] = "no-store"
    return SessionResponse(
        token=session.access_token,
        expires_in=request.app.state.tokens.lifetime,
        user=SessionUser(id=session.account.id, username=session.account.username),
    )


class PasswordLimit:
    """Counts wrong passwords for one account, from wherever they come."""

    def __init__(self, request: Request, account: str) -> None:
        self._request = request
        self._limit = request.app.state.settings.rate_limit_account
        # People type e-mail addresses and even passwords into the wrong field; Redis need not know.
        self._key = hashlib.sha256(comparable(account).encode()).hexdigest()[:32]

    async def count(self) -> None:
        """Count one try; 429 if there were too many."""
        await state(self._request).limiter.hit(self._request, "password", self._limit, self._key)

    async def forget(self) -> None:
        """The password was right: start anew."""
        await state(self._request).limiter.forget("password", self._limit, self._key)


@router.get("/login", status_code=401, responses=responses(LoginNeedsPost), response_model=None)
async def login_by_get() -> None:
    """Tell that logging in takes a POST."""
    raise LoginNeedsPost


@router.post(
    "/login",
    dependencies=[Depends(same_origin)],
    responses=responses(InvalidCredentials, CrossSite, TooManyRequests, ServiceUnavailable),
)
async def login(request: Request, response: Response, credentials: LoginRequest, sessions: Sessions) -> SessionResponse:
    """Log in: an access token in the body, and a refresh token in a cookie that scripts cannot read."""
    limiter = state(request).limiter
    await limiter.hit(request, "login", request.app.state.settings.rate_limit_login, limiter.client(request))
    limit = PasswordLimit(request, credentials.username)
    await limit.count()
    session = await sessions.login(credentials.username, credentials.password)
    await limit.forget()
    return _answer(request, response, session)


@router.get(
    "/verify",
    responses=responses(AuthorizationMalformed, VerifyExpired, VerifyInvalid),
)
async def verify(request: Request) -> VerifyResponse:
    """Tell whose access token this is. Never limited; services verify by themselves."""
    token = bearer_token(request)
    if not token:
        raise AuthorizationMalformed
    try:
        user = await request.app.state.tokens.verify(token)
    except TokenExpired:
        raise VerifyExpired from None
    except TokenInvalid:
        raise VerifyInvalid from None
    return VerifyResponse(data=VerifiedToken(user_id=user.id, username=user.username, exp=user.expires))


@router.post(
    "/auth/refresh",
    dependencies=[Depends(same_origin)],
    responses=responses(SessionMissing, SessionOver, CrossSite, ServiceUnavailable),
)
async def refresh(
    request: Request,
    response: Response,
    sessions: Sessions,
    idempotency_key: Annotated[
        str,
        Header(
            max_length=200,
            description="Name of this request, hard to guess: the same request may come again if its answer was lost.",
        ),
    ] = "",
) -> SessionResponse:
    """Exchange the cookie's refresh token for a new one, and an access token."""
    token = read_cookie(request)
    if not token:
        raise SessionMissing
    try:
        session = await sessions.refresh(token, idempotency_key)
    except SessionOver:
        raise SessionOver(headers={"Set-Cookie": cookie_header(request, "", 0)}) from None
    return _answer(request, response, session)


@router.post(
    "/auth/logout",
    status_code=204,
    dependencies=[Depends(same_origin)],
    responses=responses(CrossSite, ServiceUnavailable),
)
async def logout(request: Request, response: Response, sessions: Sessions) -> None:
    """End the session, named by its cookie or its access token, and remove the cookie."""
    session = ""
    if token := bearer_token(request):
        try:
            session = (await request.app.state.tokens.verify(token)).session
        except Unauthorized:
            session = ""  # Whoever wants to leave may; a token that has ended names no session.
    await sessions.logout(read_cookie(request), session)
    response.headers["Set-Cookie"] = cookie_header(request, "", 0)


@router.put(
    "/auth/password",
    dependencies=[Depends(same_origin)],
    responses=responses(*_TOKEN_ERRORS, WrongPassword, CrossSite, TooManyRequests, ServiceUnavailable),
)
async def change_password(
    request: Request, response: Response, change: PasswordRequest, user: CurrentUser, sessions: Sessions
) -> SessionResponse:
    """Change the password. All sessions end, but this client gets a new one."""
    limit = PasswordLimit(request, user.username)
    await limit.count()
    session = await sessions.change_password(user.id, change.current_password, change.new_password)
    await limit.forget()
    return _answer(request, response, session)


@router.post(
    "/auth/account/deletion",
    status_code=204,
    dependencies=[Depends(same_origin)],
    responses=responses(*_TOKEN_ERRORS, WrongPassword, CrossSite, TooManyRequests, ServiceUnavailable),
)
async def delete_account(
    request: Request, response: Response, confirm: ConfirmRequest, user: CurrentUser, sessions: Sessions
) -> None:
    """Delete the account. Access tokens that are out end by themselves, within their lifetime."""
    limit = PasswordLimit(request, user.username)
    await limit.count()
    await sessions.delete_account(user.id, confirm.password)
    await limit.forget()
    response.headers["Set-Cookie"] = cookie_header(request, "", 0)


@router.get("/.well-known/jwks.json", tags=["keys"])
async def jwks(request: Request) -> Response:
    """The public keys that access tokens are verified with (RFC 7517)."""
    return JsonResponse(request.app.state.tokens.jwks, headers={"Cache-Control": "public, max-age=300"})
