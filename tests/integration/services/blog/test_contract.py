"""blog-service's lines of the HTTP contract, replayed."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.services.blog.blog import Blog, User, links, write

if TYPE_CHECKING:
    import httpx

SEEDED = [
    {"id": 1, "name": "기술 스택", "slug": "tech-stack", "color": "#3B82F6"},
    {"id": 2, "name": "Troubleshooting", "slug": "troubleshooting", "color": "#E9754A"},
    {"id": 3, "name": "Test", "slug": "test", "color": "#757575"},
]


async def test_a_new_blog_has_three_categories_and_no_posts(
    new_blog: Blog, redis_address: tuple[str, int, str]
) -> None:
    async with new_blog.replica(redis_address) as replica:
        response = await replica.client.get("/blog/api/posts")
        assert (response.status_code, response.json()) == (200, [])
        assert response.headers["x-total-count"] == "0"
        assert "link" not in response.headers
        response = await replica.client.get("/blog/api/categories")
        assert response.json() == [category | {"post_count": 0} for category in SEEDED]
        # The first category that users make comes after the seeded ones.
        made = await write(replica.client, new_blog.issuer.user(), category_name="Fourth")
        assert made["category"]["id"] == 4


async def test_a_list_is_a_bare_array_newest_first(client: httpx.AsyncClient, mina: User) -> None:
    content = "First line\nsecond line " + "x" * 200
    post = await write(client, mina, title="Newest", content=content, category_id=1)
    response = await client.get("/blog/api/posts?limit=5")
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert isinstance(body, list)
    assert body[0] == {
        "id": post["id"],
        "title": "Newest",
        "author": mina.username,
        "created_at": post["created_at"],
        "excerpt": content[:120].replace("\n", " ") + "...",
        "category": SEEDED[0],
    }
    assert datetime.fromisoformat(post["created_at"]).tzinfo is not None
    ids = [item["id"] for item in body]
    assert ids == sorted(ids, reverse=True)


@pytest.mark.parametrize(
    ("content", "excerpt"),
    [
        ("short", "short"),
        ("a" * 120, "a" * 120),
        ("a" * 121, "a" * 120 + "..."),
        ("가" * 121, "가" * 120 + "..."),
        ("🙂" * 121, "🙂" * 120 + "..."),
        ("a\nb\nc", "a b c"),
    ],
)
async def test_excerpt(client: httpx.AsyncClient, mina: User, content: str, excerpt: str) -> None:
    post = await write(client, mina, content=content)
    listed = (await client.get("/blog/api/posts?limit=1")).json()[0]
    assert (listed["id"], listed["excerpt"]) == (post["id"], excerpt)


async def test_a_post_has_its_content_and_no_excerpt(client: httpx.AsyncClient, mina: User) -> None:
    post = await write(client, mina)
    response = await client.get(f"/blog/api/posts/{post['id']}")
    assert response.status_code == 200
    assert set(response.json()) == {"id", "title", "author", "created_at", "category", "content", "updated_at"}
    assert response.json() == post


@pytest.mark.parametrize("post_id", ["999999999", "0", "-1", str(2**63 - 1), str(2**63), "9" * 40])
async def test_no_such_post(client: httpx.AsyncClient, mina: User, post_id: str) -> None:
    expected = (404, {"detail": {"error": "Post not found"}})
    path = f"/blog/api/posts/{post_id}"
    for response in (
        await client.get(path),
        await client.patch(path, json={"title": "x"}, headers=mina.headers),
        await client.patch(path, json={}, headers=mina.headers),
        await client.delete(path, headers=mina.headers),
        await client.get(f"{path}/comments"),
        await client.post(f"{path}/comments", json={"content": "x"}, headers=mina.headers),
    ):
        assert (response.status_code, response.json()) == expected


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "offset=-1", f"offset={10**20}", "before=-1", "q=%00"]
)
async def test_wrong_list_parameters(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(f"/blog/api/posts?{query}")).status_code == 422


@pytest.mark.parametrize("limit", [1, 100])
async def test_limits_of_limit(client: httpx.AsyncClient, limit: int) -> None:
    assert (await client.get(f"/blog/api/posts?limit={limit}")).status_code == 200


async def test_a_list_by_category(client: httpx.AsyncClient, mina: User) -> None:
    post = await write(client, mina, category_name="Only mine")
    response = await client.get(f"/blog/api/posts?category={post['category']['slug']}")
    assert [item["id"] for item in response.json()] == [post["id"]]
    assert response.headers["x-total-count"] == "1"
    response = await client.get("/blog/api/posts?category=no-such-category")
    assert (response.status_code, response.json()) == (200, [])


async def test_an_unknown_name_makes_a_category_with_a_colour_of_its_own(client: httpx.AsyncClient, mina: User) -> None:
    first = (await write(client, mina, category_name="Brand new"))["category"]
    assert first["slug"] == "brand-new"
    assert re.fullmatch("#[0-9A-F]{6}", first["color"])
    again = (await write(client, mina, category_name="  brand   NEW "))["category"]
    assert again == first
    categories = (await client.get("/blog/api/categories")).json()
    assert [category for category in categories if category["id"] == first["id"]] == [first | {"post_count": 2}]
    assert [category["id"] for category in categories] == sorted(category["id"] for category in categories)
    for left, right in pairwise(categories):
        assert left["color"] != right["color"]


async def test_names_that_slug_alike_both_work(client: httpx.AsyncClient, mina: User) -> None:
    names = ["C", "C++", "C#"]
    made = [(await write(client, mina, category_name=name))["category"] for name in names]
    assert [category["name"] for category in made] == names
    assert [category["slug"] for category in made] == ["c", "c-2", "c-3"]
    for category in made:
        listed = (await client.get("/blog/api/posts", params={"category": category["slug"]})).json()
        assert [post["category"]["name"] for post in listed] == [category["name"]]


@pytest.mark.parametrize("category_id", [999999, 2**31 - 1, 2**31, 10**30, 0, -1])
async def test_an_unknown_category_id(client: httpx.AsyncClient, mina: User, category_id: int) -> None:
    body = {"title": "x", "content": "y", "category_id": category_id}
    response = await client.post("/blog/api/posts", json=body, headers=mina.headers)
    assert response.status_code == 422
    post = await write(client, mina)
    response = await client.patch(
        f"/blog/api/posts/{post['id']}", json={"category_id": category_id}, headers=mina.headers
    )
    assert response.status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"title": ""},
        {"title": "   "},
        {"title": "x" * 121},
        {"title": None},
        {"title": 1},
        {"title": "nul\0"},
        {"content": ""},
        {"content": " \n "},
        {"content": "x" * 20001},
        {"content": "nul\0"},
        {"category_name": ""},
        {"category_name": "x" * 51},
        {"category_name": "nul\0"},
        {"category_name": ["a"]},
        {"category_id": "1"},
        {"category_id": True},
        {"category_id": 1.5},
    ],
)
async def test_input_that_does_not_fit(client: httpx.AsyncClient, mina: User, change: dict[str, object]) -> None:
    good = {"title": "x", "content": "y"} | ({} if "category_id" in change else {"category_name": "Test"})
    response = await client.post("/blog/api/posts", json=good | change, headers=mina.headers)
    assert response.status_code == 422, response.text
    post = await write(client, mina)
    response = await client.patch(f"/blog/api/posts/{post['id']}", json=change, headers=mina.headers)
    assert response.status_code == 422, response.text
    assert (await client.get(f"/blog/api/posts/{post['id']}")).json() == post


@pytest.mark.parametrize(
    "body",
    [
        b'{"title": "\\ud800", "content": "x", "category_id": 1}',
        b'{"title": "x", "content": "\\udfff\\ud800", "category_id": 1}',
        b'{"title": "x", "content": "x", "category_name": "\\ud83d"}',
        b'{"title": "x", "content": "x", "category_id": ' + b"9" * 5000 + b"}",
        b'{"title": "x", "content": "x", "category_id": 1e400}',
        b'{"title": "x", "content": "x", "category_id": NaN}',
        b"[" * 5000,
        b"{",
        b"",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"title": "x"}',
    ],
)
async def test_bodies_that_are_no_posts_are_the_clients_mistake(
    client: httpx.AsyncClient, mina: User, body: bytes
) -> None:
    post = await write(client, mina)
    headers = mina.headers | {"content-type": "application/json"}
    response = await client.post("/blog/api/posts", content=body, headers=headers)
    assert 400 <= response.status_code < 500, response.text
    for path in (f"/blog/api/posts/{post['id']}/comments", "/blog/api/drafts", "/blog/api/preview"):
        response = await client.post(path, content=body, headers=headers)
        assert response.status_code < 500, response.text
        response.json()


async def test_limits_count_characters(client: httpx.AsyncClient, mina: User) -> None:
    post = await write(client, mina, title="🙂" * 120, content="가" * 20000, category_name="한" * 50)
    assert post["title"] == "🙂" * 120
    assert len(post["content"]) == 20000


async def test_both_ways_to_name_a_category(client: httpx.AsyncClient, mina: User) -> None:
    response = await client.post("/blog/api/posts", json={"title": "x", "content": "y"}, headers=mina.headers)
    assert response.status_code == 422
    assert (await write(client, mina, category_name="troubleshooting"))["category"] == SEEDED[1]
    assert (await write(client, mina, category_id=2))["category"] == SEEDED[1]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/blog/api/posts"),
        ("PATCH", "/blog/api/posts/1"),
        ("DELETE", "/blog/api/posts/1"),
        ("POST", "/blog/api/posts/1/comments"),
        ("DELETE", "/blog/api/posts/1/comments/1"),
        ("GET", "/blog/api/drafts"),
        ("POST", "/blog/api/drafts"),
        ("PUT", "/blog/api/drafts/1"),
        ("DELETE", "/blog/api/drafts/1"),
        ("POST", "/blog/api/drafts/1/publish"),
        ("POST", "/blog/api/preview"),
    ],
)
@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer nonsense", "Basic abc"])
async def test_401_comes_before_422(client: httpx.AsyncClient, method: str, path: str, token: str | None) -> None:
    headers = {"content-type": "application/json"} | ({} if token is None else {"authorization": token})
    for body in (b"{not json", b"{}", b'{"title": 1}'):
        response = await client.request(method, path, content=body, headers=headers)
        assert response.status_code == 401, response.text
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_expired_and_forged_tokens(client: httpx.AsyncClient, blog: Blog) -> None:
    for token in (
        blog.issuer.token(1, "a", seconds=-60),
        blog.issuer.token(1, "a", key=Ed25519PrivateKey.generate()),
    ):
        response = await client.post("/blog/api/posts", json={}, headers={"authorization": f"Bearer {token}"})
        assert response.status_code == 401


async def test_changing_a_post(client: httpx.AsyncClient, mina: User) -> None:
    post = await write(client, mina, category_id=1)
    path = f"/blog/api/posts/{post['id']}"
    for change in ({"title": "New title"}, {"content": "New content"}):
        response = await client.patch(path, json=change, headers=mina.headers)
        assert response.status_code == 200
        post |= change | {"updated_at": response.json()["updated_at"]}
        assert response.json() == post == (await client.get(path)).json()
    assert datetime.fromisoformat(post["updated_at"]) > datetime.fromisoformat(post["created_at"])
    for category in ({"category_id": 2}, {"category_name": "Troubleshooting"}):
        response = await client.patch(path, json=category, headers=mina.headers)
        assert response.json()["category"] == SEEDED[1]
    response = await client.patch(path, json={}, headers=mina.headers)
    assert (response.status_code, response.json()) == (200, {"message": "No changes"})


async def test_removing_a_post(client: httpx.AsyncClient, mina: User) -> None:
    post = await write(client, mina)
    path = f"/blog/api/posts/{post['id']}"
    response = await client.delete(path, headers=mina.headers)
    assert (response.status_code, response.content) == (204, b"")
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path, headers=mina.headers)).status_code == 404


async def test_only_the_author_may(client: httpx.AsyncClient, mina: User, jun: User) -> None:
    post = await write(client, mina)
    path = f"/blog/api/posts/{post['id']}"
    for response in (
        await client.patch(path, json={"title": "Mine now"}, headers=jun.headers),
        await client.patch(path, json={}, headers=jun.headers),
        await client.delete(path, headers=jun.headers),
    ):
        assert (response.status_code, response.json()) == (403, {"detail": "Forbidden: not the author"})
    assert (await client.get(path)).json() == post


async def test_a_name_alone_is_not_the_author(client: httpx.AsyncClient, blog: Blog, mina: User) -> None:
    """Whoever registers a name that was free again does not get the posts of its former owner."""
    post = await write(client, mina)
    namesake = blog.issuer.user(mina.username)
    response = await client.delete(f"/blog/api/posts/{post['id']}", headers=namesake.headers)
    assert response.status_code == 403


async def test_counts_are_never_stale(client: httpx.AsyncClient, mina: User) -> None:
    async def counts() -> tuple[int, int]:
        by_id = {
            category["id"]: category["post_count"] for category in (await client.get("/blog/api/categories")).json()
        }
        return by_id[1], by_id[2]

    one, two = await counts()
    post = await write(client, mina, category_id=1)
    assert await counts() == (one + 1, two)
    await client.patch(f"/blog/api/posts/{post['id']}", json={"category_id": 2}, headers=mina.headers)
    assert await counts() == (one, two + 1)
    await client.delete(f"/blog/api/posts/{post['id']}", headers=mina.headers)
    assert await counts() == (one, two)


@pytest.mark.parametrize(
    "path", ["/blog/api", "/blog/api/", "/blog/api/nothing", "/blog/api/posts/1/nothing", "/blog/api/posts/"]
)
async def test_unknown_api_paths_are_json(client: httpx.AsyncClient, path: str) -> None:
    response = await client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/json"


async def test_operation(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).status_code == 200
    ready = await client.get("/ready")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"database": "ok", "redis": "ok"})
    assert (await client.get("/stats")).json()["service"] == "blog-service"
    for _ in range(2):
        await client.get("/blog/api/posts?limit=3")
    await client.get("/blog/api/posts/999999999")
    metrics = (await client.get("/metrics")).text
    for line in (
        'http_requests_total{method="GET",route="/blog/api/posts",service="blog-service",status="200"}',
        'http_requests_total{method="GET",route="/blog/api/posts/{post_id}",service="blog-service",status="404"}',
        'cache_hits_total{cache="local",service="blog-service"}',
        'cache_misses_total{cache="shared",service="blog-service"}',
        "database_query_duration_seconds_bucket",
    ):
        assert line in metrics


async def test_links_lead_through_all_posts(client: httpx.AsyncClient, mina: User) -> None:
    category = (await write(client, mina, category_name="Paged"))["category"]["slug"]
    for _ in range(6):
        await write(client, mina, category_name="Paged")
    everything = (await client.get("/blog/api/posts", params={"category": category, "limit": 100})).json()
    pages, url = [], f"/blog/api/posts?limit=3&category={category}"
    while url:
        response = await client.get(url)
        assert response.headers["x-total-count"] == "7"
        pages.append(response.json())
        last, url = url, links(response).get("next", "")
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [post for page in pages for post in page] == everything
    back = links(await client.get(last))["prev"]
    assert (await client.get(back)).json() == pages[1]
    first = await client.get(links(await client.get(back))["prev"])
    assert first.json() == pages[0]
    assert "prev" not in links(first)


async def test_links_stay_right_while_posts_are_added(client: httpx.AsyncClient, mina: User) -> None:
    posts = [await write(client, mina, category_name="Moving") for _ in range(4)]
    first = await client.get("/blog/api/posts?limit=2&category=moving")
    await write(client, mina, category_name="Moving")
    second = await client.get(links(first)["next"])
    assert [post["id"] for post in second.json()] == [posts[1]["id"], posts[0]["id"]]


@pytest.mark.parametrize(("offset", "limit"), [(0, 1), (1, 1), (3, 5), (7, 3), (2, 100), (500, 5)])
async def test_any_offset_and_limit(client: httpx.AsyncClient, mina: User, offset: int, limit: int) -> None:
    for _ in range(3):
        await write(client, mina)
    everything = (await client.get("/blog/api/posts?limit=100")).json()
    listed = (await client.get(f"/blog/api/posts?offset={offset}&limit={limit}")).json()
    assert listed == everything[offset : offset + limit]
