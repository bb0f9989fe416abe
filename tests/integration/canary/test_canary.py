"""playbooks/canary.yml where Argo CD has the application, on a control plane without nodes: who is paused, told, committed and taken back.

Doubles are the kubelet (says that the canary's pods are ready) and Argo CD (looks when it is asked to and not paused). What readers see is in
tests/e2e/test_gitops.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.integration.plugins.control_plane import ControlPlane

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
NAMESPACE, ARGOCD = "titanium-prod", "argocd"
OLD, NEW = "registry.example.org/blog-service:old", "registry.example.org/blog-service:new"
PAUSE, PAUSED_BY, REFRESH = (
    "argocd.argoproj.io/skip-reconcile",
    "titanium.dev/paused-by",
    "argocd.argoproj.io/refresh",
)
APPLICATIONS = f"/apis/argoproj.io/v1alpha1/namespaces/{ARGOCD}/applications"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
ROUTES = f"/apis/networking.istio.io/v1/namespaces/{NAMESPACE}/virtualservices"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
STABLE = [{"name": "all", "route": [{"destination": {"host": "blog-service", "subset": "stable"}}]}]
KUSTOMIZATION = "gitops/deployed/kustomization.yaml"


def kind(group: str, version: str, name: str, plural: str) -> dict[str, Any]:
    """A CRD that takes everything."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": name, "plural": plural, "singular": name.lower()},
            "versions": [served],
        },
    }


def deployment(name: str, image: str) -> dict[str, Any]:
    """A Deployment of blog-service."""
    labels = {"app": "blog-service", "app.kubernetes.io/name": "blog-service", "version": "stable"}
    container = {"name": "blog-service", "image": image, "env": [{"name": "PORT", "value": "8005"}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"version": "stable"}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = ControlPlane(tmp_path_factory.mktemp("control-plane"))
    try:
        plane.start()
        for name in (NAMESPACE, ARGOCD):
            plane.create("/api/v1/namespaces", {"metadata": {"name": name}})
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        plane.create(crds, kind("argoproj.io", "v1alpha1", "Application", "applications"))
        plane.create(crds, kind("networking.istio.io", "v1", "VirtualService", "virtualservices"))
        deadline = time.monotonic() + 30
        while not (plane.exists(APPLICATIONS) and plane.exists(ROUTES)):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield plane
    finally:
        plane.stop()


@dataclass
class Platform:
    """The application, its git repository, and the doubles."""

    cluster: ControlPlane
    folder: Path
    kubelet: bool = True
    seen: list[dict[str, str]] = field(default_factory=list)
    """The Application's annotations, whenever they changed."""

    def __post_init__(self) -> None:
        self.bare = self.folder / "git/titanium.git"
        self.bare.parent.mkdir()
        work = self.folder / "work"
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", self.bare], check=True)
        subprocess.run(["git", "clone", "--quiet", self.bare, work], check=True, capture_output=True)
        (work / KUSTOMIZATION).parent.mkdir(parents=True)
        (work / KUSTOMIZATION).write_text("resources: []\n")
        (work / "theirs").write_text("somebody's\n")
        person = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        for arguments in (["add", "--all"], [*person, "commit", "--quiet", "-m", "seed"], ["push", "--quiet"]):
            subprocess.run(["git", "-C", work, *arguments], check=True, capture_output=True)
        self.seed = self.git("rev-parse", "main")

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.bare), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def __enter__(self) -> Self:
        self.cluster.create(DEPLOYMENTS, deployment("blog-service", OLD))
        self.cluster.create(
            ROUTES,
            {
                "apiVersion": "networking.istio.io/v1",
                "kind": "VirtualService",
                "metadata": {"name": "blog-service"},
                "spec": {"hosts": ["blog-service"], "http": STABLE},
            },
        )
        self.cluster.create(
            APPLICATIONS,
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "Application",
                "metadata": {"name": "blog", "annotations": {"somebody.example.org/note": "stays"}},
                "spec": {"source": {"repoURL": "http://git.example.org/titanium.git", "path": "gitops/deployed"}},
                "status": {
                    "sync": {"status": "Synced", "revision": self.seed},
                    "health": {"status": "Healthy"},
                    "operationState": {"phase": "Succeeded"},
                },
            },
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)
        for path in (APPLICATIONS, ROUTES, DEPLOYMENTS):
            assert self.cluster.request("DELETE", path).status == 200

    def _run(self) -> None:
        while not self._over.wait(0.2):
            annotations = self.annotations
            if not self.seen or self.seen[-1] != annotations:
                self.seen.append(annotations)
            if REFRESH in annotations and annotations.get(PAUSE) != "true":
                status = {"sync": {"status": "Synced", "revision": self.git("rev-parse", "main")}}
                self.patch({"metadata": {"annotations": {REFRESH: None}}, "status": status})
            for pod in self.cluster.get(PODS)["items"] if self.kubelet else []:
                name = pod["metadata"]["name"]
                if not pod["spec"].get("nodeName"):
                    self.cluster.request(
                        "POST",
                        f"{PODS}/{name}/binding",
                        {"metadata": {"name": name}, "target": {"kind": "Node", "name": "nobody"}},
                    )
                ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
                body = {"status": {"phase": "Running", "conditions": [ready]}}
                self.cluster.request(
                    "PATCH", f"{PODS}/{name}/status", body, content_type="application/merge-patch+json"
                )

    @property
    def application(self) -> dict[str, Any]:
        return self.cluster.get(f"{APPLICATIONS}/blog")

    @property
    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = self.application["metadata"].get("annotations", {})
        return found

    @property
    def routes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cluster.get(f"{ROUTES}/blog-service")["spec"]["http"]
        return found

    def patch(self, body: dict[str, Any]) -> None:
        """Change the Application."""
        self.cluster.patch(f"{APPLICATIONS}/blog", body)

    def canary(self, **variables: Any) -> tuple[int, str]:
        """Run the playbook; return its end and its output in one line, since messages are broken at any word."""
        told = {
            "titanium_kubeconfig": str(self.cluster.kubeconfig),
            "canary_image": NEW,
            "canary_weights": [10, 50],
            "canary_seconds": 1,
            "canary_start_seconds": 20,
            "git_server_url": f"file://{self.folder}",
            "blog_images": {"blog-service": OLD, "api-gateway": "registry.example.org/api-gateway:old"},
            "argocd_wait_timeout": 30,
            **variables,
        }
        if told["canary_image"] is None:
            del told["canary_image"]
        # The host's, since what is on the command line would win over what a role is given.
        inventory = self.folder / "inventory"
        play = ["-i", str(ROOT / "inventories/local"), "-i", str(inventory)]
        images = told.pop("blog_images")
        inventory.write_text(json.dumps({"all": {"hosts": {"localhost": {"blog_images": images}}}}))
        ansible = str(Path(sys.executable).with_name("ansible-playbook"))
        output = self.folder / "output"
        with output.open("w") as file:
            run = subprocess.run(
                [ansible, *play, "playbooks/canary.yml", "-e", json.dumps(told)],
                cwd=ROOT,
                env={**os.environ, "ANSIBLE_FORCE_COLOR": "0"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=400,
                check=False,
            )
        return run.returncode, " ".join(output.read_text().split())

    def nothing_is_left(self) -> None:
        """As it was, and nobody is paused."""
        assert not self.cluster.exists(f"{DEPLOYMENTS}/blog-service-canary")
        assert self.routes == STABLE
        assert not {PAUSE, PAUSED_BY} & set(self.annotations)
        assert self.annotations["somebody.example.org/note"] == "stays"


@pytest.fixture
def platform(cluster: ControlPlane, tmp_path: Path) -> Iterator[Platform]:
    with Platform(cluster, tmp_path) as running:
        yield running


def test_a_good_one_is_committed_and_waited_for(platform: Platform) -> None:
    code, output = platform.canary()
    assert code == 0, output
    assert f"{NEW} was good with 50 % of the requests, and is what all readers have now" in output
    platform.nothing_is_left()
    assert any(
        seen.get(PAUSE) == "true" and re.fullmatch(r"a canary of blog-service, begun \S+Z", seen.get(PAUSED_BY, ""))
        for seen in platform.seen
    ), platform.seen
    assert platform.git("log", "--format=%s", f"{platform.seed}..main") == f"{NEW}, a good canary"
    assert platform.git("diff", "--name-only", platform.seed, "main") == KUSTOMIZATION
    committed = platform.git("show", f"main:{KUSTOMIZATION}")
    assert 'newName: registry.example.org/blog-service\n    newTag: "new"' in committed
    assert 'newName: registry.example.org/api-gateway\n    newTag: "old"' in committed
    assert platform.application["status"]["sync"]["revision"] == platform.git("rev-parse", "main")
    # Argo CD would have rolled it out: nobody else did.
    [container] = platform.cluster.get(f"{DEPLOYMENTS}/blog-service")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == OLD


def test_the_inventory_says_what_is_new(platform: Platform) -> None:
    """Without canary_image, as the playbook's first lines say."""
    images = {"blog-service": NEW, "api-gateway": "registry.example.org/api-gateway:old"}
    code, output = platform.canary(blog_images=images, canary_image=None)
    assert code == 0, output
    assert 'newTag: "new"' in platform.git("show", f"main:{KUSTOMIZATION}")


def test_where_git_is_elsewhere_one_line_says_what_to_commit(platform: Platform) -> None:
    code, output = platform.canary(titanium_git_server=False)
    assert code == 0, output
    expected = "commit it: image blog-service of gitops/deployed in http://git.example.org/titanium.git"
    assert f"{NEW} was good with 50 % of the requests. All readers have it once you {expected}" in output
    platform.nothing_is_left()
    assert platform.git("rev-parse", "main") == platform.seed


def test_one_that_never_gets_ready_is_rolled_back_and_leaves_no_commit(platform: Platform) -> None:
    platform.kubelet = False
    code, output = platform.canary(canary_start_seconds=5)
    assert code != 0
    assert f"{NEW} was rolled back; all readers have the old version" in output, output
    platform.nothing_is_left()
    assert any(seen.get(PAUSE) == "true" for seen in platform.seen)
    assert platform.git("rev-parse", "main") == platform.seed


def test_a_commit_that_cannot_be_made_is_no_promotion(platform: Platform) -> None:
    hook = platform.bare / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho closed\nexit 1\n")
    hook.chmod(0o755)
    code, output = platform.canary(git_server_url=f"file://{platform.folder}")
    assert code != 0
    assert "was rolled back" in output, output
    platform.nothing_is_left()


def test_one_that_was_killed_is_ended_by_the_next(platform: Platform) -> None:
    platform.cluster.create(DEPLOYMENTS, deployment("blog-service-canary", NEW))
    half = [
        {"destination": {"host": "blog-service", "subset": "stable"}, "weight": 50},
        {"destination": {"host": "blog-service", "subset": "canary"}, "weight": 50},
    ]
    platform.cluster.patch(f"{ROUTES}/blog-service", {"spec": {"http": [{"name": "all", "route": half}]}})
    by = "a canary of blog-service, begun 2026-01-01T00:00:00Z"
    platform.patch({"metadata": {"annotations": {PAUSE: "true", PAUSED_BY: by}}})
    # Nothing new to try: it is ended all the same.
    code, output = platform.canary(canary_image=OLD)
    assert code != 0
    assert "Nothing to try" in output, output
    assert platform.routes == STABLE
    assert not {PAUSE, PAUSED_BY} & set(platform.annotations)


def test_what_somebody_else_has_paused_stays_paused(platform: Platform) -> None:
    platform.patch({"metadata": {"annotations": {PAUSE: "true", PAUSED_BY: "the night shift"}}})
    code, output = platform.canary()
    assert code != 0
    assert "is paused by the night shift" in output, output
    assert platform.annotations[PAUSE] == "true"
    assert platform.annotations[PAUSED_BY] == "the night shift"


@pytest.mark.parametrize(
    "change",
    [
        {"status": {"sync": {"status": "OutOfSync"}}},
        {"status": {"operationState": {"phase": "Running"}}},
        {"operation": {"sync": {}}},
    ],
    ids=["differs", "syncs", "is asked to"],
)
def test_none_begins_while_argocd_is_at_work(platform: Platform, change: dict[str, Any]) -> None:
    platform.patch(change)
    code, output = platform.canary(canary_start_seconds=4)
    assert code != 0
    assert "Argo CD is not done with the application" in output, output
    platform.nothing_is_left()
    assert not any(PAUSE in seen for seen in platform.seen)
