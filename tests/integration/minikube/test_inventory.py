"""inventories/minikube with a stand-in for minikube: what it would run, how it stops and goes, and a bundle of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.lookup.lock import image, place
from plugins.lookup.rendered_images import LookupModule
from plugins.module_utils.bundle import Bundle
from tests.harness.releases import releases

ROOT = Path(__file__).resolve().parents[3]
DOUBLE = ROOT / "tests/doubles/minikube"
SERVICES = {"api-gateway", "auth-service", "user-service", "blog-service", "migrations"}


@dataclass(frozen=True)
class Home:
    """A user's home, with a minikube on the path."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        names = {"HOME": "", "MINIKUBE_HOME": "minikube", "XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "cache"}
        own = {name: str(self.folder / path) for name, path in names.items()}
        path = f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {
            **os.environ,
            **own,
            "PATH": path,
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        }

    def run(self, *command: str, **environment: str) -> str:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def play(self, *arguments: str, **environment: str) -> str:
        return self.run("ansible-playbook", "-i", "inventories/minikube", *arguments, **environment)

    def minikube(self, *arguments: str) -> str:
        return self.run("minikube", *arguments, KUBECONFIG=str(self.folder / "kubeconfig"))

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "minikube/calls.jsonl").read_text().splitlines()]

    def profiles(self) -> dict[str, str]:
        valid: list[dict[str, Any]] = json.loads(self.minikube("profile", "list", "-o", "json"))["valid"]
        return {profile["Name"]: profile["Status"] for profile in valid}


def make_home(folder: Path) -> Home:
    """Return a home with a minikube."""
    (folder / "bin").mkdir()
    (folder / "bin/minikube").symlink_to(DOUBLE)
    return Home(folder)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path)


@dataclass(frozen=True)
class FirstRun:
    """site.yml in check mode, on a machine that has nothing yet: no cluster, no profile."""

    home: Home
    output: str
    rendered: Path
    mirror: str

    @property
    def images(self) -> list[str]:
        return LookupModule().run([str(self.rendered)])


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    home = make_home(tmp_path_factory.mktemp("home"))
    rendered = tmp_path_factory.mktemp("rendered")
    mirror = releases(tmp_path_factory.mktemp("mirror"))
    output = home.play(
        "site.yml", "--check", "-e", f"titanium_download_mirror={mirror}", TITANIUM_RENDER_TO=str(rendered)
    )
    return FirstRun(home, output, rendered, mirror)


def start(home: Home, *, made: bool) -> None:
    """Have the inventory's profile run, made by the role or not."""
    ports = [f"--ports={port}:{port}" for port in (31304, 31443, 30090, 30093, 31300, 30080)]
    home.minikube("-p", "titanium", "start", "--driver=docker", "--cpus=4", "--memory=6144mb", *ports)
    state = home.folder / "state/titanium/minikube"
    state.mkdir(parents=True)
    if made:
        (state / "made-titanium").touch()


def test_what_it_runs_is_built_on_the_node_or_locked(first: FirstRun) -> None:
    assert "minikube: + profile titanium, made" in first.output
    assert not any("start" in call for call in first.home.calls())

    images = set(first.images)
    built = {name for name in images if name.startswith("localhost/minikube/")}
    assert {re.sub(r".*/(.*):[0-9a-f]{16}$", r"\1", name) for name in built} == SERVICES
    assert all(f"minikube: + {name}" in first.output for name in built)
    lock = yaml.safe_load((ROOT / "lock.yml").read_text())["images"].values()
    locked = {image(entry) for entry in lock}
    assert images - built <= locked, f"outside lock.yml: {sorted(images - built - locked)}"
    # Node ports are of use on the host only if the profile publishes them.
    ports = {
        int(port) for path in first.rendered.glob("*.yaml") for port in re.findall(r"nodePort: (\d+)", path.read_text())
    }
    published = yaml.safe_load((ROOT / "roles/minikube/defaults/main.yml").read_text())["minikube_ports"]
    assert {31304, 30090, 30093} <= ports
    assert ports <= set(published)


def test_down_stops_it_and_reset_deletes_it(home: Home) -> None:
    start(home, made=True)
    home.play("playbooks/down.yml")
    assert home.profiles() == {"titanium": "Stopped"}
    home.play("playbooks/reset.yml", "-e", "reset_confirm=yes")
    assert home.profiles() == {}
    assert not (home.folder / "state/titanium/minikube").exists()


def test_reset_keeps_a_profile_that_was_adopted(home: Home) -> None:
    start(home, made=False)
    output = home.play("playbooks/reset.yml", "-e", "reset_confirm=yes")
    assert "minikube delete --profile titanium" in output
    assert home.profiles() == {"titanium": "Running"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_bundle(home: Home, first: FirstRun, tmp_path: Path) -> None:
    """Made of what is on the node, and what is in it is loaded instead of built and pulled."""
    start(home, made=True)
    for name in first.images:
        home.minikube("-p", "titanium", "image", "pull", name)

    archive = tmp_path / "all.bundle"
    mirror = ("-e", f"titanium_download_mirror={first.mirror}")
    output = home.play("playbooks/bundle.yml", "-e", f"bundle_file={archive}", *mirror)
    bundle = Bundle(archive)
    assert bundle.fingerprint in output
    assert [entry["reference"] for entry in bundle.index.images] == first.images
    assert {Path(f.path).name for f in bundle.index.files if f.path.startswith("manifests/")} == {
        path.name for path in first.rendered.iterdir()
    }

    operator = yaml.safe_load((ROOT / "lock.yml").read_text())["downloads"]["prometheus-operator"]
    [download] = [file for file in bundle.index.files if file.path.startswith("downloads/")]
    assert (download.path, download.sha256) == (f"downloads/{place(operator['url'])}", operator["sha256"])

    home.minikube("-p", "titanium", "image", "rm", *first.images)
    (home.folder / "cache").rename(home.folder / "cache-of-the-other-machine")
    arguments = ("-e", f"bundle={archive}", "-e", f"bundle_fingerprint={bundle.fingerprint}")
    output = home.play("site.yml", "--tags", "minikube", "--check", *arguments)
    assert all(f"minikube: + {name}" in output for name in first.images)
    assert not (home.folder / "cache/titanium/images").exists(), "check mode unpacks nothing"
