"""make down, make up: the data is still there."""

from __future__ import annotations

import secrets
import time

import httpx
import psutil
import pytest

from tests.e2e.conftest import EDGE, playbook

COMPONENTS = {
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "containerd",
}


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_data_survives_down_and_up() -> None:
    username, password = f"down-{secrets.token_hex(4)}", secrets.token_urlsafe(18)
    account = {"username": username, "email": f"{username}@example.org", "password": password}
    assert httpx.post(f"{EDGE}/api/register", json=account, timeout=10).status_code == 201
    login = httpx.post(f"{EDGE}/api/login", json={"username": username, "password": password}, timeout=10)
    headers = {"Authorization": f"Bearer {login.json()['token']}"}
    post = httpx.post(
        f"{EDGE}/blog/api/posts",
        json={"title": "still here", "content": "after make down and make up", "category_id": 3},
        headers=headers,
        timeout=10,
    )
    assert post.status_code == 201, post.text

    down = playbook("playbooks/down.yml")
    assert down.returncode == 0, down.output
    names = {process.info["name"] for process in psutil.process_iter(["name"])}
    assert not names & COMPONENTS

    started = time.monotonic()
    up = playbook("site.yml")
    assert up.returncode == 0, up.output
    print(f"\nup again after {time.monotonic() - started:.0f} s")

    found = httpx.get(f"{EDGE}/blog/api/posts/{post.json()['id']}", timeout=10)
    assert found.status_code == 200
    assert found.json()["title"] == "still here"
    login = httpx.post(f"{EDGE}/api/login", json={"username": username, "password": password}, timeout=10)
    headers = {"Authorization": f"Bearer {login.json()['token']}"}
    assert httpx.delete(f"{EDGE}/blog/api/posts/{post.json()['id']}", headers=headers, timeout=10).status_code == 204
