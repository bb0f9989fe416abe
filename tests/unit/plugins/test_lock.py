"""The lookup of the lock file."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.lookup.lock import downloads, resolve

LOCK: dict[str, Any] = {
    "images": {
        "postgresql": {"repository": "docker.io/library/postgres", "tag": "17", "digest": "sha256:aa"},
        "redis": {"repository": "titanium/redis", "tag": "7"},
        "pause": {"repository": "localhost:5000/pause", "digest": "sha256:bb"},
    },
    "downloads": {
        "argocd": {"url": "https://example.org/a/install.yaml?x=1", "sha256": "cc"},
        "k3s": {
            "version": "v1+k3s1",
            "amd64": {"url": "https://example.org/v1%2Bk3s1/k3s", "sha256": "dd"},
            "arm64": {"url": "https://example.org/v1%2Bk3s1/k3s-arm64", "sha256": "ee"},
        },
    },
    "go": {"etcd": {"version": "3.6.5"}, "k8s.io/api": {"version": "1"}},
}


@pytest.mark.parametrize(
    ("term", "registry", "expected"),
    [
        ("images.postgresql", "", "docker.io/library/postgres:17@sha256:aa"),
        ("images.postgresql", "registry.example/x/", "registry.example/x/library/postgres:17@sha256:aa"),
        ("images.redis", "", "titanium/redis:7"),
        ("images.redis", "10.0.0.1:5000", "10.0.0.1:5000/titanium/redis:7"),
        ("images.pause", "10.0.0.1:5000", "10.0.0.1:5000/pause@sha256:bb"),
        ("images.redis.tag", "10.0.0.1:5000", "7"),
        ("go.etcd.version", "", "3.6.5"),
        ("go.k8s.io/api.version", "", "1"),
        ("go.etcd", "", {"version": "3.6.5"}),
    ],
)
def test_images_and_values(term: str, registry: str, expected: Any) -> None:
    assert resolve(LOCK, term, registry) == expected


def test_downloads_honour_the_mirror() -> None:
    mirrored = "https://mirror/files/example.org/a/install.yaml?x=1"
    assert resolve(LOCK, "downloads.argocd.url") == LOCK["downloads"]["argocd"]["url"]
    assert resolve(LOCK, "downloads.argocd.url", mirror="https://mirror/files/") == mirrored
    assert resolve(LOCK, "downloads.argocd", mirror="https://mirror/files") == {"url": mirrored, "sha256": "cc"}
    assert resolve(LOCK, "downloads.argocd.sha256", mirror="https://mirror/files") == "cc"


def test_an_entry_that_tells_architectures_apart_is_a_file_of_each() -> None:
    amd64 = {"url": "https://example.org/v1%2Bk3s1/k3s", "sha256": "dd", "path": "example.org/v1+k3s1/k3s"}
    arm64 = {"url": "https://example.org/v1%2Bk3s1/k3s-arm64", "sha256": "ee", "path": "example.org/v1+k3s1/k3s-arm64"}
    assert downloads(LOCK, "k3s", ["amd64", "arm64"]) == [amd64, arm64]
    assert downloads(LOCK, "k3s", ["arm64"]) == [arm64]
    assert downloads(LOCK, "k3s.amd64", ["arm64"]) == [amd64]
    [mirrored] = downloads(LOCK, "k3s", ["amd64"], "file:///mirror")
    assert mirrored == amd64 | {"url": "file:///mirror/example.org/v1%2Bk3s1/k3s"}


def test_an_entry_for_all_architectures_is_one_file() -> None:
    [file] = downloads(LOCK, "argocd", ["amd64", "arm64"])
    assert file == {**LOCK["downloads"]["argocd"], "path": "example.org/a/install.yaml"}


def test_what_is_not_for_an_architecture_is_told() -> None:
    with pytest.raises(LookupError, match=r"no downloads.k3s for s390x; there is amd64, arm64"):
        downloads(LOCK, "k3s", ["amd64", "s390x"])


@pytest.mark.parametrize(
    ("term", "message"),
    [
        ("images.postgres", "lock.yml has no images.postgres; did you mean images.postgresql?"),
        ("image.redis", "did you mean images"),
        ("go.zzz", "there are etcd, k8s.io/api"),
        ("go.etcd.version.major", "go.etcd.version is a value and has no key 'major'"),
    ],
)
def test_says_what_is_near(term: str, message: str) -> None:
    with pytest.raises(LookupError) as caught:
        resolve(LOCK, term)
    assert message in str(caught.value.args[0])
