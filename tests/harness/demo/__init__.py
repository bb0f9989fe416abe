"""Posts to look at, in two languages and by three people, for pictures of the blog.

Each file beside this one is a post: its title, category and author in a line each, then its text, written through the API.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from tests.harness.services import Services

# One post every 31 hours, the last one now.
SPREAD = """
UPDATE blog.posts SET created_at = created_at - age, updated_at = updated_at - age
FROM (SELECT id, (max(id) OVER () - id) * interval '31 hours' AS age FROM blog.posts) AS ages
WHERE ages.id = posts.id
"""
COMMENTS = {
    "One miss, one query: single-flight in thirty lines": [
        ("jonas", "The `shield` cost me an afternoon once. Thank you for putting it in **bold** letters."),
        ("sora", "실패도 함께 나누어 갖는다는 점이 의외였어요. 다음 글도 기다릴게요!"),
    ],
}


def _register(edge: str, name: str) -> httpx.Client:
    client = httpx.Client(base_url=edge, timeout=20)
    password = secrets.token_urlsafe(12)
    body = {"username": name, "email": f"{name}@example.org", "password": password}
    client.post("/api/register", json=body).raise_for_status()
    answer = client.post("/api/login", json={"username": name, "password": password}).raise_for_status()
    client.headers["authorization"] = f"Bearer {answer.json()['token']}"
    return client


def write(services: Services) -> tuple[dict[str, int], dict[str, httpx.Client]]:
    """Write the demo posts, as if over some weeks, and return their ids by title and their authors' clients by name."""
    authors: dict[str, httpx.Client] = {}
    ids: dict[str, int] = {}
    for path in sorted(Path(__file__).parent.glob("*.md")):
        title, category, author, content = path.read_text(encoding="utf-8").split("\n", 3)
        if author not in authors:
            authors[author] = _register(services.edge, author)
        body = {"title": title, "category_name": category, "content": content}
        ids[title] = authors[author].post("/blog/api/posts", json=body).raise_for_status().json()["id"]
    for title, comments in COMMENTS.items():
        for author, content in comments:
            authors[author].post(f"/blog/api/posts/{ids[title]}/comments", json={"content": content}).raise_for_status()
    # The API alone says when something was written, so the past is made behind its back; nobody has read a page yet.
    services.postgres.administer(lambda connection: connection.execute(SPREAD))
    return ids, authors
