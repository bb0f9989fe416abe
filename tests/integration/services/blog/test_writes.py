"""Writing at the same time, twice, and as somebody else: nothing is lost, and nobody touches what is not theirs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.services.blog.blog import Blog, User, write

if TYPE_CHECKING:
    import httpx


async def test_the_second_editor_of_a_version_is_told(client: httpx.AsyncClient, mina: User) -> None:
    post = await write(client, mina)
    path = f"/blog/api/posts/{post['id']}"
    etag = (await client.get(path)).headers["etag"]
    headers = mina.headers | {"if-match": etag}
    first = await client.patch(path, json={"content": "first"}, headers=headers)
    assert first.status_code == 200
    assert first.headers["etag"] != etag
    second = await client.patch(path, json={"content": "second"}, headers=headers)
    assert second.status_code == 412
    assert second.headers["etag"] == first.headers["etag"]
    assert (await client.get(path)).json()["content"] == "first"
    assert (await client.delete(path, headers=headers)).status_code == 412
    assert (await client.patch(path, json={}, headers=headers)).status_code == 412
    again = await client.patch(
        path, json={"content": "second"}, headers=mina.headers | {"if-match": first.headers["etag"]}
    )
    assert again.status_code == 200
    assert (await client.delete(path, headers=mina.headers | {"if-match": "*"})).status_code == 204


async def test_of_many_editors_at_once_one_wins(client: httpx.AsyncClient, mina: User) -> None:
    post = await write(client, mina)
    path = f"/blog/api/posts/{post['id']}"
    headers = mina.headers | {"if-match": (await client.get(path)).headers["etag"]}
    responses = await asyncio.gather(
        *(client.patch(path, json={"content": f"editor {number}"}, headers=headers) for number in range(12))
    )
    assert sorted(response.status_code for response in responses) == [200] + [412] * 11
    (winner,) = [response.json() for response in responses if response.status_code == 200]
    assert (await client.get(path)).json() == winner


async def test_changes_of_different_fields_at_once_are_both_kept(client: httpx.AsyncClient, mina: User) -> None:
    post = await write(client, mina)
    path = f"/blog/api/posts/{post['id']}"
    await asyncio.gather(
        client.patch(path, json={"title": "New title"}, headers=mina.headers),
        client.patch(path, json={"content": "New content"}, headers=mina.headers),
    )
    now = (await client.get(path)).json()
    assert (now["title"], now["content"]) == ("New title", "New content")


async def test_a_repeated_request_makes_one_post(client: httpx.AsyncClient, mina: User, jun: User) -> None:
    body = {"title": "Once", "content": "only", "category_id": 3}
    headers = {"idempotency-key": "the same"}
    responses = await asyncio.gather(
        *(client.post("/blog/api/posts", json=body, headers=mina.headers | headers) for _ in range(8))
    )
    assert {response.status_code for response in responses} == {201}
    assert len({response.json()["id"] for response in responses}) == 1
    # Keys are each user's own.
    other = await client.post("/blog/api/posts", json=body, headers=jun.headers | headers)
    assert other.json()["id"] != responses[0].json()["id"]
    assert other.json()["author"] == jun.username


@pytest.mark.parametrize("key", ["", "é", "x" * 201])
async def test_keys_that_do_not_fit(client: httpx.AsyncClient, mina: User, key: str) -> None:
    body = {"title": "x", "content": "y", "category_id": 3}
    headers = {"authorization": mina.headers["authorization"], "idempotency-key": key.encode("latin-1")}
    response = await client.post("/blog/api/posts", json=body, headers=headers)  # type: ignore[arg-type]
    assert response.status_code in (400, 422)


async def test_a_new_category_made_by_many_at_once_is_one(client: httpx.AsyncClient, mina: User) -> None:
    posts = await asyncio.gather(*(write(client, mina, category_name="Made at once") for _ in range(10)))
    assert len({post["category"]["id"] for post in posts}) == 1


async def test_alike_categories_made_at_once_differ(client: httpx.AsyncClient, mina: User) -> None:
    names = ["F", "F#", "F+", "F!", "F?"]
    posts = await asyncio.gather(*(write(client, mina, category_name=name) for name in names))
    assert len({post["category"]["slug"] for post in posts}) == 5
    assert len({post["category"]["color"] for post in posts}) == 5


async def test_a_post_that_is_removed_while_it_is_changed(client: httpx.AsyncClient, mina: User) -> None:
    for _ in range(5):
        post = await write(client, mina)
        path = f"/blog/api/posts/{post['id']}"
        removed, changed, commented = await asyncio.gather(
            client.delete(path, headers=mina.headers),
            client.patch(path, json={"title": "x"}, headers=mina.headers),
            client.post(f"{path}/comments", json={"content": "x"}, headers=mina.headers),
        )
        assert removed.status_code == 204
        assert changed.status_code in (200, 404)
        assert commented.status_code in (201, 404)
        assert (await client.get(path)).status_code == 404


# --- comments


async def comment(client: httpx.AsyncClient, post: dict[str, Any], user: User, content: str = "Hm.") -> dict[str, Any]:
    response = await client.post(
        f"/blog/api/posts/{post['id']}/comments", json={"content": content}, headers=user.headers
    )
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def test_comments(client: httpx.AsyncClient, mina: User, jun: User) -> None:
    post = await write(client, mina)
    path = f"/blog/api/posts/{post['id']}/comments"
    assert (await client.get(path)).json() == []
    made = [await comment(client, post, user, f"**{number}**") for number, user in enumerate((mina, jun, mina))]
    assert set(made[0]) == {"id", "author", "created_at", "content", "html"}
    assert made[1]["html"] == "<p><strong>1</strong></p>\n"
    response = await client.get(path)
    assert response.json() == made
    assert response.headers["x-total-count"] == "3"
    first = await client.get(f"{path}?limit=2")
    assert first.json() == made[:2]
    assert (await client.get(first.links["next"]["url"])).json() == made[2:]


async def test_only_its_writer_removes_a_comment(client: httpx.AsyncClient, mina: User, jun: User) -> None:
    post, other = await write(client, mina), await write(client, mina)
    made = await comment(client, post, jun)
    path = f"/blog/api/posts/{post['id']}/comments/{made['id']}"
    response = await client.delete(path, headers=mina.headers)
    assert (response.status_code, response.json()) == (403, {"detail": "Forbidden: not the author"})
    elsewhere = f"/blog/api/posts/{other['id']}/comments/{made['id']}"
    assert (await client.delete(elsewhere, headers=jun.headers)).status_code == 404
    assert (await client.delete(path, headers=jun.headers)).status_code == 204
    assert (await client.delete(path, headers=jun.headers)).status_code == 404
    assert (await client.get(f"/blog/api/posts/{post['id']}/comments")).json() == []


@pytest.mark.parametrize("comment_id", ["0", "-1", str(2**63), "9" * 30])
async def test_no_such_comment(client: httpx.AsyncClient, mina: User, comment_id: str) -> None:
    response = await client.delete(f"/blog/api/posts/1/comments/{comment_id}", headers=mina.headers)
    assert response.status_code == 404


@pytest.mark.parametrize("content", ["", "  ", "x" * 2001, "nul\0", None, 1])
async def test_comments_that_do_not_fit(client: httpx.AsyncClient, mina: User, content: object) -> None:
    post = await write(client, mina)
    path = f"/blog/api/posts/{post['id']}/comments"
    assert (await client.post(path, json={"content": content}, headers=mina.headers)).status_code == 422


async def test_a_repeated_comment_is_one(client: httpx.AsyncClient, mina: User) -> None:
    post, other = await write(client, mina), await write(client, mina)
    headers = mina.headers | {"idempotency-key": "once"}
    path = f"/blog/api/posts/{post['id']}/comments"
    responses = await asyncio.gather(*(client.post(path, json={"content": "x"}, headers=headers) for _ in range(6)))
    assert {response.status_code for response in responses} == {201}
    assert len((await client.get(path)).json()) == 1
    response = await client.post(f"/blog/api/posts/{other['id']}/comments", json={"content": "x"}, headers=headers)
    assert response.status_code == 422


async def test_comments_go_with_their_post(client: httpx.AsyncClient, mina: User) -> None:
    post = await write(client, mina)
    await comment(client, post, mina)
    await client.delete(f"/blog/api/posts/{post['id']}", headers=mina.headers)
    assert (await client.get(f"/blog/api/posts/{post['id']}/comments")).status_code == 404


# --- drafts


async def draft(client: httpx.AsyncClient, user: User, **text: str) -> tuple[dict[str, Any], str]:
    response = await client.post("/blog/api/drafts", json=text, headers=user.headers)
    assert response.status_code == 201, response.text
    return response.json(), response.headers["etag"]


async def test_a_draft_is_its_authors_alone(client: httpx.AsyncClient, mina: User, jun: User) -> None:
    made, _ = await draft(client, mina, title="Secret")
    path = f"/blog/api/drafts/{made['id']}"
    assert (await client.get(path, headers=mina.headers)).json() == made
    assert [item["id"] for item in (await client.get("/blog/api/drafts", headers=mina.headers)).json()] == [made["id"]]
    assert (await client.get("/blog/api/drafts", headers=jun.headers)).json() == []
    for response in (
        await client.get(path, headers=jun.headers),
        await client.put(path, json={"title": "x"}, headers=jun.headers),
        await client.delete(path, headers=jun.headers),
        await client.post(f"{path}/publish", headers=jun.headers),
    ):
        assert response.status_code == 404
    assert (await client.get(path)).status_code == 401
    assert "Secret" not in (await client.get("/blog/api/posts?limit=100")).text
    assert (await client.get("/blog/api/posts", params={"q": "Secret"})).json() == []


async def test_drafts_are_not_kept_by_caches(client: httpx.AsyncClient, mina: User) -> None:
    made, _ = await draft(client, mina)
    for path in ("/blog/api/drafts", f"/blog/api/drafts/{made['id']}"):
        assert (await client.get(path, headers=mina.headers)).headers["cache-control"] == "no-store"


async def test_publishing_a_draft(client: httpx.AsyncClient, mina: User) -> None:
    made, etag = await draft(client, mina, title="Ready", content="Go.", category_name="Troubleshooting")
    between = await write(client, mina)
    path = f"/blog/api/drafts/{made['id']}"
    responses = await asyncio.gather(
        *(client.post(f"{path}/publish", headers=mina.headers | {"if-match": etag}) for _ in range(5))
    )
    assert sorted(response.status_code for response in responses) == [201] + [404] * 4
    (post,) = [response.json() for response in responses if response.status_code == 201]
    assert post["id"] > between["id"]  # the newest, as it was published last
    assert (post["title"], post["category"]["id"]) == ("Ready", 2)
    assert (await client.get(f"/blog/api/posts/{post['id']}")).json() == post
    assert (await client.get(path, headers=mina.headers)).status_code == 404


@pytest.mark.parametrize("missing", ["title", "content", "category_name"])
async def test_an_incomplete_draft_is_kept(client: httpx.AsyncClient, mina: User, missing: str) -> None:
    text = {"title": "a", "content": "b", "category_name": "Test"}
    made, _ = await draft(client, mina, **(text | {missing: " "}))
    path = f"/blog/api/drafts/{made['id']}"
    assert (await client.post(f"{path}/publish", headers=mina.headers)).status_code == 422
    assert (await client.get(path, headers=mina.headers)).status_code == 200


async def test_changing_and_removing_a_draft(client: httpx.AsyncClient, mina: User) -> None:
    made, etag = await draft(client, mina, title="One")
    path = f"/blog/api/drafts/{made['id']}"
    headers = mina.headers | {"if-match": etag}
    changed = await client.put(path, json={"title": "Two", "content": "text"}, headers=headers)
    assert (changed.json()["title"], changed.json()["content"]) == ("Two", "text")
    for response in (
        await client.put(path, json={"title": "Three"}, headers=headers),
        await client.delete(path, headers=headers),
        await client.post(f"{path}/publish", headers=headers),
    ):
        assert response.status_code == 412
        assert response.headers["etag"] == changed.headers["etag"]
    assert (await client.delete(path, headers=mina.headers)).status_code == 204


@pytest.mark.parametrize("draft_id", ["0", str(2**63), "9" * 30])
async def test_no_such_draft(client: httpx.AsyncClient, mina: User, draft_id: str) -> None:
    path = f"/blog/api/drafts/{draft_id}"
    for response in (
        await client.get(path, headers=mina.headers),
        await client.put(path, json={}, headers=mina.headers),
        await client.delete(path, headers=mina.headers),
        await client.post(f"{path}/publish", headers=mina.headers),
    ):
        assert response.status_code == 404


async def test_drafts_are_limited(client: httpx.AsyncClient, mina: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blog_service.writes.MAX_DRAFTS", 2)
    for _ in range(2):
        await draft(client, mina)
    response = await client.post("/blog/api/drafts", json={}, headers=mina.headers)
    assert response.status_code == 409


# --- limits


async def test_writes_are_limited_by_user(
    blog: Blog, redis_address: tuple[str, int, str], mina: User, jun: User
) -> None:
    async with blog.replica(redis_address, rate_limit_write="3/minute", rate_limit_preview="2/minute") as replica:
        for _ in range(3):
            await write(replica.client, mina)
        body = {"title": "x", "content": "y", "category_id": 1}
        response = await replica.client.post("/blog/api/posts", json=body, headers=mina.headers)
        assert response.status_code == 429
        assert int(response.headers["retry-after"]) > 0
        assert response.headers["ratelimit"]
        await write(replica.client, jun)
        for status in (200, 200, 429):
            response = await replica.client.post("/blog/api/preview", json={"content": "x"}, headers=mina.headers)
            assert response.status_code == status
        assert (await replica.client.get("/blog/api/posts")).status_code == 200


async def test_preview(client: httpx.AsyncClient, mina: User) -> None:
    response = await client.post("/blog/api/preview", json={"content": "# Hi <script>"}, headers=mina.headers)
    assert response.json() == {"html": '<h2 id="post-hi-script">Hi &lt;script&gt;</h2>\n'}
