"""Refresh tokens: rotated, good once, and gone when they should be."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import httpx

    from tests.integration.services.platform import Account, Platform

OVER = {"detail": "The session has ended, log in again"}
REFRESH = "/api/auth/refresh"


def cookie(response: httpx.Response) -> dict[str, str]:
    """The attributes of the cookie in an answer, names in lower case; its value is under `value`."""
    first, *rest = response.headers["set-cookie"].split("; ")
    name, _, value = first.partition("=")
    attributes = dict(part.lower().partition("=")[::2] for part in rest)
    return {"name": name, "value": value, **attributes}


async def refresh(client: httpx.AsyncClient, token: str, **headers: str) -> httpx.Response:
    """Renew with a token of our choice."""
    client.cookies.clear()
    return await client.post(REFRESH, headers={"cookie": f"refresh_token={token}", **headers})


async def test_the_cookie_is_out_of_reach(edge: httpx.AsyncClient, account: Account) -> None:
    response = await edge.post("/api/login", json=account.credentials)
    attributes = cookie(response)
    assert attributes["name"] == "refresh_token"
    assert attributes["path"] == "/"
    assert attributes["samesite"] == "strict"
    assert "httponly" in attributes
    assert "secure" not in attributes
    assert attributes["value"] not in response.text


async def test_over_https_it_is_bound_to_the_host(auth: httpx.AsyncClient, account: Account) -> None:
    https = {"x-forwarded-proto": "https"}
    response = await auth.post("/login", json=account.credentials, headers=https)
    attributes = cookie(response)
    assert attributes["name"] == "__Host-refresh_token"
    assert "secure" in attributes
    auth.cookies.clear()
    renewed = await auth.post(
        "/auth/refresh", headers=https | {"cookie": f"__Host-refresh_token={attributes['value']}"}
    )
    assert renewed.status_code == 200
    plain = await auth.post("/auth/refresh", headers=https | {"cookie": f"refresh_token={cookie(renewed)['value']}"})
    assert plain.json() == {"detail": "No session"}


async def test_a_client_cannot_claim_https_at_the_edge(edge: httpx.AsyncClient, account: Account) -> None:
    response = await edge.post("/api/login", json=account.credentials, headers={"x-forwarded-proto": "https"})
    assert cookie(response)["name"] == "refresh_token"


async def test_renewing_gives_new_tokens(edge: httpx.AsyncClient, account: Account) -> None:
    first = await account.login(edge)
    before = edge.cookies["refresh_token"]
    response = await edge.post(REFRESH)
    assert response.status_code == 200
    assert response.json()["token"] != first["token"]
    assert edge.cookies["refresh_token"] != before
    assert (await edge.post(REFRESH)).status_code == 200


async def test_without_a_cookie_there_is_no_session(edge: httpx.AsyncClient) -> None:
    response = await edge.post(REFRESH)
    assert (response.status_code, response.json()) == (401, {"detail": "No session"})
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("token", ["made-up", "x" * 4000, "%00", "é"])
async def test_a_made_up_token_is_401_and_removed(edge: httpx.AsyncClient, token: str) -> None:
    edge.cookies.clear()
    response = await edge.post(REFRESH, headers={b"cookie": b"refresh_token=" + token.encode()})
    assert (response.status_code, response.json()) == (401, OVER)
    assert cookie(response)["max-age"] == "0"


async def test_using_a_token_twice_ends_the_session_for_both(edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    stolen = edge.cookies["refresh_token"]
    assert (await edge.post(REFRESH)).status_code == 200
    current = edge.cookies["refresh_token"]
    assert (await refresh(edge, stolen)).json() == OVER
    assert (await refresh(edge, current)).json() == OVER


async def test_a_request_whose_answer_was_lost_may_come_again(edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    token = edge.cookies["refresh_token"]
    key = {"idempotency-key": "a name that is hard to guess"}
    answers = [await refresh(edge, token, **key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    *lost, last = [cookie(answer)["value"] for answer in answers]
    assert len({*lost, last}) == 3
    renewed = await refresh(edge, last)
    assert renewed.status_code == 200
    # What was lost and is found by somebody else ends the session.
    assert (await refresh(edge, lost[0], **key)).json() == OVER
    assert (await refresh(edge, cookie(renewed)["value"])).json() == OVER


async def test_a_lost_answer_is_worth_nothing(edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    token = edge.cookies["refresh_token"]
    key = {"idempotency-key": "a name that is hard to guess"}
    lost, last = [cookie(await refresh(edge, token, **key))["value"] for _ in range(2)]
    assert (await refresh(edge, lost)).json() == OVER
    assert (await refresh(edge, last)).json() == OVER


@pytest.mark.parametrize("again", ["another name", "", None])
async def test_another_request_with_the_same_token_ends_the_session(
    edge: httpx.AsyncClient, account: Account, again: str | None
) -> None:
    await account.login(edge)
    token = edge.cookies["refresh_token"]
    first = await refresh(edge, token, **{"idempotency-key": "one name"})
    headers = {} if again is None else {"idempotency-key": again}
    assert (await refresh(edge, token, **headers)).json() == OVER
    assert (await refresh(edge, cookie(first)["value"])).json() == OVER


async def test_a_request_cannot_come_again_once_its_answer_was_used(edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    token = edge.cookies["refresh_token"]
    key = {"idempotency-key": "one name"}
    first = await refresh(edge, token, **key)
    second = await refresh(edge, cookie(first)["value"])
    assert second.status_code == 200
    assert (await refresh(edge, token, **key)).json() == OVER
    assert (await refresh(edge, cookie(second)["value"])).json() == OVER


async def test_a_request_cannot_come_again_much_later(
    platform: Platform, edge: httpx.AsyncClient, account: Account
) -> None:
    await account.login(edge)
    token = edge.cookies["refresh_token"]
    key = {"idempotency-key": "one name"}
    await refresh(edge, token, **key)
    await platform.auth_app.state.database.execute(
        "test",
        "UPDATE auth.refresh_tokens SET used_at = used_at - interval '61 seconds' WHERE token_hash = $1",
        hashlib.sha256(token.encode()).digest(),
    )
    assert (await refresh(edge, token, **key)).json() == OVER


async def test_the_same_request_many_times_at_once_leaves_one_token(edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    headers = {"cookie": f"refresh_token={edge.cookies['refresh_token']}", "idempotency-key": "one name"}
    edge.cookies.clear()
    responses = await asyncio.gather(*(edge.post(REFRESH, headers=headers) for _ in range(10)))
    assert {response.status_code for response in responses} == {200}
    tokens = [cookie(response)["value"] for response in responses]
    database_view = [await refresh(edge, token) for token in tokens]
    # Whichever was the last one made is good; the first of the others to come ends the session.
    assert sum(response.status_code == 200 for response in database_view) <= 1


async def test_ending_one_session_leaves_others(edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    first = edge.cookies["refresh_token"]
    await account.login(edge)
    second = edge.cookies["refresh_token"]
    await refresh(edge, first)
    assert (await refresh(edge, first)).json() == OVER
    assert (await refresh(edge, second)).status_code == 200


async def test_of_many_at_once_one_is_renewed_and_the_session_ends(edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    token = edge.cookies["refresh_token"]
    edge.cookies.clear()
    headers = {"cookie": f"refresh_token={token}"}
    responses = await asyncio.gather(*(edge.post(REFRESH, headers=headers) for _ in range(10)))
    renewed = [response for response in responses if response.status_code == 200]
    assert len(renewed) == 1
    assert all(response.json() == OVER for response in responses if response.status_code != 200)
    assert (await refresh(edge, cookie(renewed[0])["value"])).json() == OVER


async def test_only_hashes_are_stored(platform: Platform, edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    token = edge.cookies["refresh_token"]
    database = platform.auth_app.state.database
    hashes = await database.fetch("test", "SELECT token_hash FROM auth.refresh_tokens")
    assert hashlib.sha256(token.encode()).digest() in {row["token_hash"] for row in hashes}
    assert token.encode() not in {row["token_hash"] for row in hashes}


async def test_a_session_ends_by_itself(platform: Platform, edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    database = platform.auth_app.state.database
    await database.execute(
        "test", "UPDATE auth.families SET expires_at = now() - interval '1 second' WHERE user_id = $1", account.id
    )
    assert (await edge.post(REFRESH)).json() == OVER


async def test_renewing_does_not_make_a_session_longer(
    platform: Platform, edge: httpx.AsyncClient, account: Account
) -> None:
    await account.login(edge)
    await platform.auth_app.state.database.execute(
        "test", "UPDATE auth.families SET expires_at = now() + interval '100 seconds' WHERE user_id = $1", account.id
    )
    response = await edge.post(REFRESH)
    assert 90 <= int(cookie(response)["max-age"]) <= 100


async def test_logout_ends_the_session(edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    token = edge.cookies["refresh_token"]
    response = await edge.post("/api/auth/logout")
    assert response.status_code == 204
    assert cookie(response)["max-age"] == "0"
    assert "refresh_token" not in edge.cookies
    assert (await refresh(edge, token)).json() == OVER


async def test_logout_with_an_access_token_alone(edge: httpx.AsyncClient, account: Account) -> None:
    headers = await account.bearer(edge)
    token = edge.cookies["refresh_token"]
    edge.cookies.clear()
    assert (await edge.post("/api/auth/logout", headers=headers)).status_code == 204
    assert (await refresh(edge, token)).json() == OVER


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"cookie": "refresh_token=wrong"}])
async def test_logout_without_a_session_is_fine(edge: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert (await edge.post("/api/auth/logout", headers=headers)).status_code == 204


async def test_changing_the_password_ends_all_other_sessions(edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    elsewhere = edge.cookies["refresh_token"]
    headers = await account.bearer(edge)
    here = edge.cookies["refresh_token"]
    response = await edge.put(
        "/api/auth/password",
        json={"current_password": account.password, "new_password": "something new"},
        headers=headers,
    )
    assert response.status_code == 200
    new = edge.cookies["refresh_token"]
    assert (await refresh(edge, new)).status_code == 200
    for token in (elsewhere, here):
        assert (await refresh(edge, token)).json() == OVER
    assert (await edge.post("/api/login", json=account.credentials)).status_code == 401
    account.password = "something new"
    assert await account.login(edge)


async def test_a_password_changed_behind_its_back_ends_a_session(
    edge: httpx.AsyncClient, user: httpx.AsyncClient, account: Account
) -> None:
    """As when auth-service fails between the change and the end of the sessions."""
    await account.login(edge)
    body = {"current_password": account.password, "new_password": "something new"}
    assert (await user.put(f"/internal/accounts/{account.id}/password", json=body)).status_code == 200
    assert (await edge.post(REFRESH)).json() == OVER


async def test_a_wrong_password_changes_nothing(edge: httpx.AsyncClient, account: Account) -> None:
    headers = await account.bearer(edge)
    for method, path, body in (
        ("PUT", "/api/auth/password", {"current_password": "wrong", "new_password": "something new"}),
        ("POST", "/api/auth/account/deletion", {"password": "wrong"}),
    ):
        response = await edge.request(method, path, json=body, headers=headers)
        assert (response.status_code, response.json()) == (403, {"detail": "Wrong password"})
    assert (await edge.post(REFRESH)).status_code == 200


async def test_deleting_an_account_ends_everything(edge: httpx.AsyncClient, account: Account) -> None:
    headers = await account.bearer(edge)
    token = edge.cookies["refresh_token"]
    body = {"password": account.password}
    assert (await edge.post("/api/auth/account/deletion", json=body, headers=headers)).status_code == 204
    assert (await refresh(edge, token)).json() == OVER
    assert (await edge.post("/api/login", json=account.credentials)).status_code == 401
    assert (await edge.get(f"/api/users/{account.username}")).status_code == 404
    assert (await edge.post("/api/auth/account/deletion", json=body, headers=headers)).status_code == 204


async def test_an_account_deleted_behind_its_back_ends_a_session(
    edge: httpx.AsyncClient, user: httpx.AsyncClient, account: Account
) -> None:
    await account.login(edge)
    path = f"/internal/accounts/{account.id}/deletion"
    assert (await user.post(path, json={"password": account.password})).status_code == 204
    assert (await edge.post(REFRESH)).json() == OVER


@pytest.mark.parametrize(("method", "path"), [("PUT", "/api/auth/password"), ("POST", "/api/auth/account/deletion")])
async def test_401_comes_before_422(edge: httpx.AsyncClient, method: str, path: str) -> None:
    for content in (b"{", b"{}", b'{"password": 1}'):
        response = await edge.request(method, path, content=content, headers={"content-type": "application/json"})
        assert (response.status_code, response.json()) == (401, {"detail": "Not authenticated"})
        assert response.headers["www-authenticate"] == "Bearer"


async def test_nobody_can_act_on_another_account(edge: httpx.AsyncClient, account: Account, other: Account) -> None:
    """Whose account it is comes from the token alone; the other's password is of no use."""
    headers = await other.bearer(edge)
    body = {"password": account.password, "id": account.id, "user_id": account.id, "username": account.username}
    assert (await edge.post("/api/auth/account/deletion", json=body, headers=headers)).status_code == 403
    change = {"current_password": account.password, "new_password": "something new", "user_id": account.id}
    assert (await edge.put("/api/auth/password", json=change, headers=headers)).status_code == 403
    assert await account.login(edge)


CROSS_SITE = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://evil.example", "x-forwarded-host": "evil.example"},
]


@pytest.mark.parametrize("headers", CROSS_SITE)
@pytest.mark.parametrize("path", [REFRESH, "/api/login", "/api/auth/logout"])
async def test_other_sites_are_refused(
    edge: httpx.AsyncClient, account: Account, path: str, headers: dict[str, str]
) -> None:
    await account.login(edge)
    response = await edge.post(path, json=account.credentials, headers=headers)
    assert (response.status_code, response.json()) == (403, {"detail": "Cross-site request refused"})
    assert (await edge.post(REFRESH)).status_code == 200


async def test_our_own_page_is_not(platform: Platform, edge: httpx.AsyncClient, account: Account) -> None:
    await account.login(edge)
    for headers in (
        {"sec-fetch-site": "same-origin", "origin": platform.edge},
        {"origin": platform.edge},
        {"sec-fetch-site": "none"},
    ):
        assert (await edge.post(REFRESH, headers=headers)).status_code == 200


async def test_no_secret_is_logged(platform: Platform, edge: httpx.AsyncClient, account: Account) -> None:
    body = await account.login(edge)
    token = edge.cookies["refresh_token"]
    await edge.post(REFRESH)
    await edge.get(f"/api/users/{account.email}")
    logs = "".join(log.text() for log in platform.logs.values())
    assert '"path":"/api/login"' in logs
    for secret in (account.password, account.email, body["token"], token):
        assert secret not in logs
