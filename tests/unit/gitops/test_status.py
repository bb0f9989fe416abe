"""What `make gitops-status` says, and what a push of a banner writes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.gitops.repository import BLOG_SERVICE, Clone
from scripts.gitops.status import PAUSE, PAUSED_BY, paused, pod_problems, problems, report, settled, under_way

ROOT = Path(__file__).resolve().parents[3]


def application(**status: Any) -> dict[str, Any]:
    """Return an Application that is well but for what is given."""
    well = {
        "sync": {"status": "Synced", "revision": "0123456789abcdef0123456789abcdef01234567"},
        "health": {"status": "Healthy"},
        "operationState": {
            "phase": "Succeeded",
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": "2026-01-01T00:00:09Z",
        },
    }
    source = {"repoURL": "http://git/titanium.git", "path": "gitops/deployed"}
    return {"metadata": {"name": "blog"}, "spec": {"source": source}, "status": well | status}


def test_all_well() -> None:
    text, well = report(application())
    assert well
    assert (
        text.splitlines()[0] == "blog: Synced and Healthy at 0123456789ab of http://git/titanium.git, gitops/deployed"
    )


def test_a_repository_that_does_not_answer() -> None:
    condition = {"type": "ComparisonError", "message": "failed to list refs: connection refused"}
    text, well = report(application(sync={"status": "Unknown"}, conditions=[condition]))
    assert not well
    assert "Unknown and Healthy at no commit" in text
    assert "  ComparisonError: failed to list refs: connection refused" in text


def test_a_migration_that_failed() -> None:
    operation = {
        "phase": "Failed",
        "message": "one or more synchronization tasks completed unsuccessfully",
        "syncResult": {
            "resources": [
                {
                    "kind": "Job",
                    "name": "migrations",
                    "hookPhase": "Failed",
                    "message": "Job has reached the specified backoff limit",
                },
                {"kind": "ConfigMap", "name": "service-environment", "hookPhase": "Running", "status": "Synced"},
            ]
        },
    }
    assert problems(application(operationState=operation)) == [
        "last sync: Failed: one or more synchronization tasks completed unsuccessfully",
        "Job migrations: Job has reached the specified backoff limit",
    ]


def test_objects_that_differ_or_do_not_get_on() -> None:
    resources = [
        {"kind": "Service", "name": "a", "status": "Synced", "health": {"status": "Healthy"}},
        {"kind": "ConfigMap", "name": "b", "status": "OutOfSync"},
        {
            "kind": "Deployment",
            "name": "c",
            "status": "Synced",
            "health": {"status": "Degraded", "message": "exceeded its deadline"},
        },
    ]
    assert problems(application(resources=resources)) == [
        "ConfigMap b differs from git",
        "Deployment c is Degraded: exceeded its deadline",
    ]


def test_an_application_that_was_never_looked_at() -> None:
    found = application()
    del found["status"]
    text, well = report(found)
    assert not well
    assert text.startswith("blog: Unknown and Unknown at no commit")


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_commit_that_is_settled() -> None:
    assert settled(application(), COMMIT)
    assert not settled(application(), COMMIT[::-1])


@pytest.mark.parametrize(
    "status",
    [
        {"sync": {"status": "OutOfSync", "revision": COMMIT}},
        {"sync": {"status": "Synced"}},
        {"health": {"status": "Progressing"}},
        {"operationState": {"phase": "Running"}},
        {"conditions": [{"type": "SyncError", "message": "refused"}]},
        {"resources": [{"kind": "Service", "name": "a", "status": "OutOfSync"}]},
    ],
)
def test_a_commit_that_is_not(status: dict[str, Any]) -> None:
    assert not settled(application(**status), COMMIT)


def test_one_that_argocd_has_not_looked_at_is_not() -> None:
    found = application()
    del found["status"]
    assert not settled(found, COMMIT)


@pytest.mark.parametrize(("value", "is_paused"), [("true", True), ("1", True), ("false", False), ("perhaps", False)])
def test_paused_is_what_argocd_takes_for_it(value: str, is_paused: bool) -> None:
    found = application()
    found["metadata"]["annotations"] = {PAUSE: value}
    assert paused(found) is is_paused


def test_a_pause_is_told_and_nothing_is_settled_in_it() -> None:
    """What the status says is from before it."""
    found = application()
    found["metadata"]["annotations"] = {
        PAUSE: "true",
        PAUSED_BY: "a canary of blog-service, begun 2026-01-01T00:00:00Z",
    }
    text, well = report(found)
    assert not well
    assert "paused by a canary of blog-service, begun 2026-01-01T00:00:00Z" in text
    assert f"annotate application blog {PAUSE}- {PAUSED_BY}-" in text
    assert not settled(found, COMMIT)
    del found["metadata"]["annotations"][PAUSED_BY]
    assert "paused by somebody" in report(found)[0]


def test_a_sync_is_under_way_from_the_moment_it_is_asked_for() -> None:
    assert not under_way(application())
    assert under_way(application(operationState={"phase": "Running"}))
    assert under_way(application() | {"operation": {"sync": {}}})


def test_pods_say_what_keeps_them() -> None:
    pod = {
        "metadata": {"name": "blog-1"},
        "status": {
            "initContainerStatuses": [{"name": "proxy", "state": {"running": {}}}],
            "containerStatuses": [
                {"name": "blog", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}},
                {"name": "new", "state": {"waiting": {"reason": "ContainerCreating"}}},
                {"name": "job", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}},
                {"name": "done", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
            ],
        },
    }
    assert pod_problems(pod) == [
        "Pod blog-1, blog: ImagePullBackOff: no such image",
        "Pod blog-1, job: ended with 1 (Error)",
    ]


@pytest.fixture
def origin(tmp_path: Path) -> str:
    """A repository with this tree's gitops/."""
    bare, work = tmp_path / "bare.git", tmp_path / "work"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare], check=True)
    subprocess.run(["git", "clone", "--quiet", bare, work], check=True, capture_output=True)
    subprocess.run(["cp", "-R", ROOT / "gitops", work / "gitops"], check=True)
    subprocess.run(["git", "-C", work, "add", "--all"], check=True)
    person = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", "-C", work, *person, "commit", "--quiet", "--message", "seed"], check=True)
    subprocess.run(["git", "-C", work, "push", "--quiet", "origin", "HEAD:main"], check=True)
    return str(bare)


@pytest.mark.parametrize("text", ["Back at noon", 'Say "hi", \\o/ 한글', ""])
def test_a_banner_is_one_value_of_one_deployment(origin: str, tmp_path: Path, text: str) -> None:
    with Clone(origin, tmp_path / "none") as clone:
        clone.banner("something else")
        clone.banner(text)
        documents = list(yaml.safe_load_all((clone.path / BLOG_SERVICE).read_text()))
        [deployment] = [document for document in documents if document["kind"] == "Deployment"]
        environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        expected = [{"name": "SITE_BANNER", "value": text}] if text else []
        assert [entry for entry in environment if entry["name"] == "SITE_BANNER"] == expected


def test_two_who_push_at_once_both_get_in(origin: str, tmp_path: Path) -> None:
    with Clone(origin, tmp_path / "none") as one, Clone(origin, tmp_path / "none") as two:
        one.banner("one")
        one.commit("one")
        (two.path / "gitops/note").write_text("two\n")
        two.commit("two")
        one.push()
        two.push()
        with Clone(origin, tmp_path / "none") as result:
            assert result.git("log", "--format=%s", "-2").splitlines() == ["two", "one"]
            assert (result.path / "gitops/note").read_text() == "two\n"


def test_a_forced_push_overwrites(origin: str, tmp_path: Path) -> None:
    with Clone(origin, tmp_path / "none") as one:
        before = one.head
        one.banner("one")
        one.commit("one")
        one.push()
        one.git("reset", "--quiet", "--hard", before)
        one.push(force=True)
        with Clone(origin, tmp_path / "none") as result:
            assert result.head == before
