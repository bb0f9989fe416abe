"""Routes for auth-service. The gateway passes nothing on to them: they are for inside the cluster only."""

from fastapi import APIRouter

from titanium_common.errors import ServiceUnavailable, responses
from user_service.accounts.endpoints import Accounts
from user_service.accounts.errors import UserNotFound, WrongCredentials
from user_service.accounts.schemas import Credentials, Deletion, PasswordChange, VerifiedAccount

router = APIRouter(prefix="/internal", tags=["internal"])


@router.post("/verify-credentials", responses=responses(WrongCredentials, ServiceUnavailable))
async def verify_credentials(credentials: Credentials, accounts: Accounts) -> VerifiedAccount:
    """Tell whose name and password these are."""
    account = await accounts.verify(credentials.username, credentials.password)
    return VerifiedAccount.model_validate(account, from_attributes=True)


@router.get("/accounts/{account_id}", responses=responses(UserNotFound, ServiceUnavailable))
async def read(account_id: int, accounts: Accounts) -> VerifiedAccount:
    """Tell whether an account is still there, and how often its password has changed."""
    return VerifiedAccount.model_validate(await accounts.by_id(account_id), from_attributes=True)


@router.put("/accounts/{account_id}/password", responses=responses(WrongCredentials, UserNotFound, ServiceUnavailable))
async def change_password(account_id: int, change: PasswordChange, accounts: Accounts) -> VerifiedAccount:
    """Replace a password."""
    account = await accounts.change_password(account_id, change.current_password, change.new_password)
    return VerifiedAccount.model_validate(account, from_attributes=True)


@router.post(
    "/accounts/{account_id}/deletion",
    status_code=204,
    responses=responses(WrongCredentials, UserNotFound, ServiceUnavailable),
)
async def delete(account_id: int, deletion: Deletion, accounts: Accounts) -> None:
    """Delete an account."""
    await accounts.delete(account_id, deletion.password)
