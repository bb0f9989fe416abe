"""GitOps with a real Argo CD and a real git server: pushes go live, wrong ones harm nobody, and the next good one mends it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from scripts.gitops.push_demo import push, shows
from scripts.gitops.repository import BLOG_SERVICE, Clone
from scripts.gitops.status import application, paused, pods_with_problems, refresh, report, settled
from tests.harness.load import Load

from .conftest import EDGE, ROOT, by_hand, kept_by_argocd, kubectl, playbook
from .mesh import NAMESPACE
from .test_canary import broken_one_is_rolled_back, canary, nothing_is_left, routes, variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Building Argo CD the first time takes six minutes.
pytestmark = [pytest.mark.timeout(1500), pytest.mark.slow]

ARGOCD = "argocd"
ON, OFF = ("-e", "titanium_gitops=true"), ("-e", "titanium_gitops=false")
IMAGES = Path("gitops/deployed/kustomization.yaml")
ENVIRONMENT = Path("gitops/base/environment.yaml")
MIGRATIONS = Path("gitops/base/migrations.yaml")
PUSHES = 5
CTR = ["ctr", "--address", "/run/titanium/containerd/containerd.sock", "--namespace", "k8s.io"]


def run(*arguments: str) -> None:
    """Run site.yml, which must succeed."""
    done = playbook("site.yml", "--tags", "gitops", *arguments)
    assert done.returncode == 0, done.output[-4000:]


@pytest.fixture(scope="module", autouse=True)
def gitops() -> Iterator[None]:
    """Argo CD and the git server; afterwards the platform is as it was."""
    existed = kept_by_argocd()
    if not existed:
        run(*ON)
    if not shows(""):
        with Clone() as mine:
            push(mine, "")
    yield
    if kept_by_argocd() != existed:
        run(*(ON if existed else OFF))


def wait(what: str, check: Callable[[], bool], seconds: float) -> float:
    """Wait until `check` holds and return the seconds it took; tell how the Application is if it does not."""
    started = time.monotonic()
    while not check():
        assert time.monotonic() - started < seconds, f"{what}: not within {seconds} s\n{report(application())[0]}"
        time.sleep(0.5)
    return time.monotonic() - started


def told() -> str:
    """Return what `make gitops-status` says."""
    refresh()
    return "\n".join([report(application())[0], *pods_with_problems(NAMESPACE)])


@pytest.fixture
def clone() -> Iterator[Clone]:
    """A clone of what the platform runs; afterwards that runs again."""
    with Clone() as mine:
        before = mine.head
        wait("in order before the test", lambda: settled(application(), before), 120)
        yield mine
        with Clone() as now:
            now.git("read-tree", "--reset", "-u", before)
            if now.git("status", "--porcelain"):
                now.commit("As before the test")
                now.push()
            wait("in order after the test", lambda: settled(application(), now.head), 300)


@pytest.fixture
def load() -> Iterator[Load]:
    """Readers and a writer, of whose requests none may fail."""
    with Load(EDGE, reads=20, writes=2) as running:
        yield running
        time.sleep(2)
    print("\n" + running.report("meanwhile"))
    assert running.total > 50
    assert not running.failures, "\n".join(running.failures[:20])


@pytest.mark.usefixtures("load")
def test_a_push_is_live_within_seconds(clone: Clone) -> None:
    timings = []
    for number in range(PUSHES):
        timings.append(push(clone, f"Push {number}"))
        line = timings[-1]
        print(
            f"\npush {number}: accepted {line.pushed:.1f} s, first {line.first:.1f} s, every {line.every:.1f} s, Synced {line.synced:.1f} s"
        )
    # What it takes on a machine with nothing else to do is measured by `make push-demo`: docs/gitops.md.
    every = [timing.every for timing in timings]
    print(f"\nmedian {median(every):.1f} s")
    assert max(every) < 60, every


def test_a_run_of_ansible_changes_nothing(clone: Clone) -> None:
    """Neither on what it set up itself nor on what was pushed since."""
    push(clone, "Ansible has not heard of this")
    check = playbook("site.yml", "--check", "--diff", "--tags", "blog,gitops", *ON)
    assert check.returncode == 0, check.output[-4000:]
    assert check.recap("changed") == 0, check.output
    done = playbook("site.yml", "--tags", "blog,gitops", *ON)
    assert done.returncode == 0, done.output[-4000:]
    assert done.recap("changed") == 0, done.output
    assert shows("Ansible has not heard of this")


def test_what_is_removed_from_git_is_removed(clone: Clone) -> None:
    """A whole object, and a key that Ansible had applied the first time."""
    clone.replace(ENVIRONMENT, "  LOG_LEVEL: info\n", "")
    (clone.path / "gitops/base/note.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: note}\n")
    clone.replace(
        Path("gitops/base/kustomization.yaml"), "  - environment.yaml\n", "  - environment.yaml\n  - note.yaml\n"
    )
    added = clone.commit("One more, one less")
    clone.push()
    wait("the new object", lambda: settled(application(), added), 120)
    assert kubectl("-n", NAMESPACE, "get", "configmap", "note")
    data = json.loads(kubectl("-n", NAMESPACE, "get", "configmap", "service-environment", "-o", "json"))["data"]
    assert "LOG_LEVEL" not in data
    clone.git("revert", "--no-edit", "HEAD")
    clone.push()
    wait("taken back", lambda: settled(application(), clone.head), 120)
    assert not kubectl("-n", NAMESPACE, "get", "configmap", "note", "--ignore-not-found").strip()


@pytest.mark.usefixtures("clone")
def test_changes_by_hand_are_taken_back_within_a_minute() -> None:
    def uid(kind: str, name: str) -> str:
        return kubectl("-n", NAMESPACE, "get", kind, name, "-o", "jsonpath={.metadata.uid}", "--ignore-not-found")

    def level() -> str:
        return kubectl("-n", NAMESPACE, "get", "configmap", "service-environment", "-o", "jsonpath={.data.LOG_LEVEL}")

    def back(kind: str, name: str, old: str) -> bool:
        return uid(kind, name) not in {"", old}

    before = level()
    patch = json.dumps({"data": {"LOG_LEVEL": "debug"}})
    kubectl("-n", NAMESPACE, "patch", "configmap", "service-environment", "--type=merge", "-p", patch)
    print(f"\nedited ConfigMap: {wait('the edit', lambda: level() == before, 60):.1f} s")
    for kind, name in (
        ("pdb", "api-gateway"),
        ("networkpolicy", "redis"),
        ("hpa", "user-service"),
        ("deployment", "user-service"),
    ):
        old = uid(kind, name)
        kubectl("-n", NAMESPACE, "delete", kind, name, "--wait=false")
        seconds = wait(f"{kind} {name}", partial(back, kind, name, old), 60)
        print(f"deleted {kind} {name}: {seconds:.1f} s")
    kubectl("-n", NAMESPACE, "rollout", "status", "deployment/user-service", "--timeout=110s")
    wait("in order", lambda: report(application())[1], 60)


def drift(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return what playbooks/drift.yml finds of the application."""
    file = folder / "drift.json"
    run = playbook("playbooks/drift.yml", "-e", f"drift_report={file}", "-e", json.dumps({"drift_roles": ["blog"]}))
    found: dict[str, list[dict[str, Any]]] = json.loads(file.read_text())
    assert run.returncode == (2 if any(found.values()) else 0), run.output
    return found


@pytest.mark.usefixtures("clone")
def test_drift_that_argocd_does_not_take_back_is_reported(tmp_path: Path) -> None:
    """By an Argo CD that only looks, and by one that is paused and cannot tell."""

    def automated(value: object) -> None:
        patch = json.dumps({"spec": {"syncPolicy": {"automated": value}}})
        kubectl("-n", ARGOCD, "patch", "application", "blog", "--type=merge", "-p", patch)

    assert drift(tmp_path) == {"drift": [], "errors": []}
    before = application()["spec"]["syncPolicy"]["automated"]
    automated(None)
    try:
        patch = json.dumps({"data": {"LOG_LEVEL": "debug"}})
        kubectl("-n", NAMESPACE, "patch", "configmap", "service-environment", "--type=merge", "-p", patch)
        kubectl("-n", NAMESPACE, "delete", "pdb", "api-gateway")
        wait("both differ", lambda: told().count("differs from git") == 2, 60)
        found = drift(tmp_path)
    finally:
        automated(before)
    assert found["errors"] == []
    assert sorted((row["object"], row["change"]) for row in found["drift"]) == [
        (f"ConfigMap {NAMESPACE}/service-environment", "changed"),
        (f"PodDisruptionBudget {NAMESPACE}/api-gateway", "missing"),
    ]
    wait("taken back", lambda: report(application())[1], 60)
    with by_hand():
        [error] = drift(tmp_path)["errors"]
        assert error["message"] == "it is paused by a test"


@pytest.mark.usefixtures("load")
def test_an_image_that_is_not_there(clone: Clone) -> None:
    text = (clone.path / IMAGES).read_text()
    wrong = re.sub(r"(- name: blog-service\n.*\n\s+newTag:) .*", r"\1 nowhere", text)
    assert wrong != text
    (clone.path / IMAGES).write_text(wrong)
    clone.banner("never seen")
    clone.commit("An image that nobody built")
    clone.push()
    wait("the reason", lambda: "blog-service:nowhere" in told() and "Pull" in told(), 120)
    print("\n" + told())
    assert shows("")
    (clone.path / IMAGES).write_text(text)
    recovered = push(clone, "good again")
    print(f"good again after {recovered.every:.1f} s, Synced {recovered.synced:.1f} s")


@pytest.mark.usefixtures("load")
def test_a_migration_that_fails(clone: Clone) -> None:
    """Services are not rolled out on a schema that is not there."""
    clone.replace(MIGRATIONS, "args: [upgrade, head]", "args: [upgrade, nowhere]")
    clone.banner("never seen")
    bad = clone.commit("A migration that fails")
    clone.push()

    def blamed() -> bool:
        operation = application()["status"].get("operationState", {})
        return (
            operation.get("operation", {}).get("sync", {}).get("revision") == bad and "migrations: ended with" in told()
        )

    wait("the reason", blamed, 180)
    print("\n" + told())
    assert shows("")
    clone.replace(MIGRATIONS, "args: [upgrade, nowhere]", "args: [upgrade, head]")
    recovered = push(clone, "good again")
    print(f"good again after {recovered.every:.1f} s, Synced {recovered.synced:.1f} s")


@pytest.mark.usefixtures("load")
@pytest.mark.parametrize(
    ("title", "file", "old", "new", "reason"),
    [
        ("not YAML", ENVIRONMENT, "  LOG_LEVEL: info\n", "  LOG_LEVEL: [\n", "ComparisonError"),
        ("a kind that the project does not allow", ENVIRONMENT, "kind: ConfigMap", "kind: Secret", "Secret"),
        (
            "an object that the API server refuses",
            BLOG_SERVICE,
            "maxUnavailable: 0",
            "maxUnavailable: nothing",
            "blog-service",
        ),
    ],
)
def test_a_manifest_that_is_wrong(clone: Clone, title: str, file: Path, old: str, new: str, reason: str) -> None:
    clone.replace(file, old, new)
    clone.commit(title)
    clone.push()
    wait("the reason", lambda: reason in told().partition("\n")[2], 120)
    print("\n" + told())
    assert shows("")
    clone.replace(file, new, old)
    recovered = push(clone, "good again")
    print(f"good again after {recovered.every:.1f} s, Synced {recovered.synced:.1f} s")


@pytest.mark.usefixtures("load")
def test_a_git_server_that_is_away(clone: Clone) -> None:
    kubectl("-n", ARGOCD, "scale", "statefulset", "git-server", "--replicas=0")
    try:
        wait("the reason", lambda: "ComparisonError" in told(), 180)
        print("\n" + told())
        assert shows("")
    finally:
        kubectl("-n", ARGOCD, "scale", "statefulset", "git-server", "--replicas=1")
    kubectl("-n", ARGOCD, "rollout", "status", "statefulset/git-server", "--timeout=60s")
    recovered = push(clone, "good again")
    print(f"good again after {recovered.every:.1f} s, Synced {recovered.synced:.1f} s")


@pytest.mark.usefixtures("load")
def test_two_pushes_at_once(clone: Clone) -> None:
    with Clone() as other:
        clone.banner("from one")
        clone.commit("one")
        other.replace(ENVIRONMENT, "  LOG_LEVEL: info\n", "  LOG_LEVEL: warning\n")
        other.commit("two")
        threads = [threading.Thread(target=each.push) for each in (clone, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with Clone() as result:
        wait("both", lambda: settled(application(), result.head), 120)
    wait("both", lambda: shows("from one"), 30)
    data = json.loads(kubectl("-n", NAMESPACE, "get", "configmap", "service-environment", "-o", "json"))["data"]
    assert data["LOG_LEVEL"] == "warning"


@pytest.mark.usefixtures("load")
def test_a_forced_push_and_one_during_a_rollout(clone: Clone) -> None:
    before = clone.head
    clone.banner("overwritten")
    clone.commit("overwritten")
    clone.push()
    wait("its sync", lambda: application()["status"]["sync"].get("revision") == clone.head, 60)
    clone.git("reset", "--quiet", "--hard", before)
    clone.banner("instead")
    clone.commit("instead")
    clone.push(force=True)
    wait("the last", lambda: settled(application(), clone.head), 180)
    wait("the last", lambda: shows("instead"), 30)


@pytest.mark.usefixtures("load")
def test_argocd_killed_in_the_middle_of_a_sync(clone: Clone) -> None:
    clone.banner("whatever happens")
    clone.commit("whatever happens")
    clone.push()
    wait("its beginning", lambda: application()["status"].get("operationState", {}).get("phase") == "Running", 60)
    kubectl("-n", ARGOCD, "delete", "pod", "argocd-application-controller-0", "--grace-period=0", "--force")
    print(f"\nin order after {wait('the last', lambda: settled(application(), clone.head), 240):.1f} s")
    wait("the last", lambda: shows("whatever happens"), 30)


@pytest.mark.usefixtures("load")
def test_back_by_git_revert(clone: Clone) -> None:
    push(clone, "a mistake")
    clone.git("revert", "--no-edit", "HEAD")
    started = time.monotonic()
    clone.push()
    wait("gone", lambda: not shows("a mistake"), 60)
    wait("in order", lambda: settled(application(), clone.head), 120)
    print(f"\ntaken back after {time.monotonic() - started:.1f} s")
    assert shows("")


def follow(revision: str) -> None:
    """Have Argo CD follow a branch or a commit."""
    patch = json.dumps({"spec": {"source": {"targetRevision": revision}}})
    kubectl("-n", ARGOCD, "patch", "application", "blog", "--type=merge", "-p", patch)


@pytest.mark.usefixtures("load")
def test_back_by_history(clone: Clone) -> None:
    push(clone, "a mistake")
    before = application()["status"]["history"][-2]["revision"]
    try:
        follow(before)
        print(f"\nback after {wait('the old one', lambda: shows('') and settled(application(), before), 120):.1f} s")
    finally:
        follow("main")
    wait("forward", lambda: shows("a mistake") and settled(application(), clone.head), 120)


@pytest.fixture
def another() -> Iterator[str]:
    """A version of blog-service that is as good as the one that runs: its image under another name."""
    image = running_image()
    name = f"{image}-again"
    subprocess.run([*CTR, "images", "tag", "--force", image, name], check=True, capture_output=True)
    yield name
    subprocess.run([*CTR, "images", "remove", name], check=True, capture_output=True)


def running_image() -> str:
    """Return the image of blog-service that all readers have."""
    shown = "jsonpath={.spec.template.spec.containers[0].image}"
    return kubectl("-n", NAMESPACE, "get", "deployment", "blog-service", "-o", shown)


@pytest.mark.usefixtures("load")
def test_a_good_canary_is_promoted_by_a_commit(another: str, clone: Clone) -> None:
    """Nothing else is in it, and Argo CD did not take the readers away meanwhile."""
    run = playbook("playbooks/canary.yml", "-e", json.dumps(variables([10, 50], canary_image=another)))
    assert run.returncode == 0, run.output
    assert f"{another} was good with 50 % of the requests, and is what all readers have now" in run.words
    asked = [int(number) for number in re.findall(r"%: 0 of (\d+) requests failed", run.words)]
    assert len(asked) == 2, run.stdout
    assert min(asked) > 0, "Argo CD took the route back"
    nothing_is_left()
    assert running_image() == another
    with Clone() as now:
        wait("in order", lambda: settled(application(), now.head), 30)
        assert now.git("log", "--format=%s", f"{clone.head}..") == f"{another}, a good canary"
        changed = now.git("diff", "--unified=0", clone.head).splitlines()
    tags = [line[1:].strip() for line in changed if re.match("[+-] ", line)]
    new = another.rpartition(":")[2]
    assert tags == [f'newTag: "{tag}"' for tag in (new.removesuffix("-again"), new)]


def test_a_bad_canary_is_aborted(clone: Clone) -> None:
    broken_one_is_rolled_back()
    with Clone() as now:
        assert now.head == clone.head
    assert settled(application(), clone.head)


@pytest.mark.usefixtures("load")
def test_where_git_is_elsewhere_a_good_canary_says_what_to_commit(another: str, clone: Clone) -> None:
    told = {**variables([50], canary_image=another), "titanium_git_server": False}
    run = playbook("playbooks/canary.yml", "-e", json.dumps(told))
    assert run.returncode == 0, run.output
    source = application()["spec"]["source"]
    expected = f"All readers have it once you commit it: image blog-service of {source['path']} in {source['repoURL']}"
    assert f"{another} was good with 50 % of the requests. {expected}" in run.words, run.output
    nothing_is_left()
    assert settled(application(), clone.head)
    assert running_image() != another


@pytest.mark.usefixtures("load")
def test_a_canary_that_is_killed_is_told_of_and_ended_by_the_next(clone: Clone) -> None:
    ansible = Path(sys.executable).with_name("ansible-playbook")
    wanted = json.dumps({**variables([50], canary_environment={"LOG_LEVEL": "warning"}), "canary_seconds": 300})
    with subprocess.Popen(
        [ansible, "-i", "inventories/local", "playbooks/canary.yml", "-e", wanted],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as killed:
        try:
            wait("half of the readers", lambda: "canary" in json.dumps(routes()), 120)
        finally:
            os.killpg(killed.pid, signal.SIGKILL)
    assert "paused by a canary of blog-service, begun " in told()
    assert not settled(application(), clone.head)
    code, output = canary({"LOG_LEVEL": "warning"}, [50])
    assert code == 0, output
    assert "End what one that was killed has left" in output
    nothing_is_left()
    assert settled(application(), clone.head)


@pytest.mark.usefixtures("clone")
def test_a_canary_leaves_alone_what_somebody_else_has_paused() -> None:
    with by_hand():
        code, output = canary({"LOG_LEVEL": "warning"}, [50])
        assert code != 0
        assert "is paused by a test" in output, output
        assert paused(application())


def pods() -> dict[str, str]:
    """Return the services' pods and their identities."""
    found: list[dict[str, Any]] = json.loads(
        kubectl("-n", NAMESPACE, "get", "pods", "-l", "app.kubernetes.io/component=service", "-o", "json")
    )["items"]
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}


def test_without_argocd_the_application_goes_on() -> None:
    """And Ansible has the say again."""
    before = pods()
    with Load(EDGE, reads=20, writes=2) as load:
        run(*OFF)
    print("\n" + load.report("meanwhile"))
    assert not load.failures, "\n".join(load.failures[:20])
    assert pods() == before
    assert "argoproj" not in kubectl("get", "crds,clusterroles,clusterrolebindings", "-o", "name")
    check = playbook("site.yml", "--check", "--diff", "--tags", "blog,gitops", *OFF)
    assert check.recap("changed") == 0, check.output
