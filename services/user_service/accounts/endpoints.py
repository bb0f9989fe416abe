"""Routes that clients reach through the gateway."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from titanium_common.app import state
from titanium_common.errors import ServiceUnavailable, TooManyRequests, responses
from titanium_common.text import Text
from titanium_common.tokens import OptionalUser, SecureRoute, TokenExpired, TokenInvalid
from user_service.accounts.errors import EmailTaken, UsernameTaken, UserNotFound
from user_service.accounts.schemas import Account, Registration
from user_service.accounts.service import AccountService

router = APIRouter(tags=["accounts"], route_class=SecureRoute)


def service(request: Request) -> AccountService:
    """The application's account service."""
    result: AccountService = request.app.state.accounts
    return result


Accounts = Annotated[AccountService, Depends(service)]


async def limit_registrations(request: Request) -> None:
    """Count by client address: making an account costs a hash."""
    limiter = state(request).limiter
    await limiter.hit(request, "register", request.app.state.settings.rate_limit_register, limiter.client(request))


@router.post(
    "/users",
    status_code=201,
    dependencies=[Depends(limit_registrations)],
    responses=responses(UsernameTaken, EmailTaken, TooManyRequests, ServiceUnavailable),
)
async def register(registration: Registration, accounts: Accounts) -> Account:
    """Make an account."""
    return Account.model_validate(await accounts.register(registration))


@router.get(
    "/users/{username}",
    response_model_exclude_none=True,
    responses=responses(TokenExpired, TokenInvalid, UserNotFound, ServiceUnavailable),
)
async def read(
    username: Annotated[Text, Path(min_length=1, max_length=100)], accounts: Accounts, user: OptionalUser
) -> Account:
    """Show an account; its e-mail address to its owner alone."""
    account = await accounts.by_username(username)
    own = user is not None and user.id == account.id
    return Account(id=account.id, username=account.username, email=account.email if own else None)
