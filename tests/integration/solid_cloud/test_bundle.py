"""A bundle of Solid Cloud: what upstream has is pulled, what the lock file downloads comes from a mirror, and all of it can be put elsewhere."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from plugins.lookup.lock import place
from plugins.module_utils.bundle import Bundle
from tests.doubles import k3s as doubles
from tests.harness.releases import NAMES, releases
from tests.integration.terraform.conftest import ROOT

if TYPE_CHECKING:
    from tests.integration.solid_cloud.conftest import Site

PLAYBOOK = """\
- import_playbook: {site}
- hosts: k3s_cluster
  gather_facts: false
  tags: always
  tasks:
    - ansible.builtin.debug:
        msg: "k3s: {{{{ lookup('titanium.platform.lock', 'downloads.k3s.amd64.url') }}}}; archives: {{{{ k3s_loaded_images | length }}}}"
- hosts: platform
  gather_facts: false
  tags: always
  tasks:
    - ansible.builtin.debug:
        msg: "redis: {{{{ lookup('titanium.platform.lock', 'images.redis') }}}};"
"""
#: Images of the lock file that run there, or remove what ran there; and those of the layers on top.
RUNS = {"istio-pilot", "istio-proxy", "istio-cni", "postgresql", "redis"}
LAYERS_RUN = {
    *("prometheus-operator", "prometheus-config-reloader", "prometheus", "alertmanager", "kube-state-metrics"),
    *("node-exporter", "postgres-exporter", "redis-exporter"),
    *("loki", "otel-collector", "busybox", "grafana", "argocd"),
}
SERVICES = {"api-gateway", "auth-service", "user-service", "blog-service", "migrations"}


def clone(target: Path) -> Path:
    """Copy what is, or would be, in git."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_symlink() or (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    return target


def image(path: Path) -> Path:
    """Write an archive of an image, as far as a bundle looks into it."""
    text = json.dumps({"manifests": [{"digest": "sha256:abc"}]}).encode()
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("index.json")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return path


def newest_istioctl() -> str:
    """The istioctl that was built last."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "titanium/bin/istio"
    return str(max(cache.glob("*/istioctl"), key=lambda path: path.stat().st_mtime))


@pytest.fixture
def offline(bare_site: Site, tmp_path: Path) -> Site:
    """A clone whose lock file pins a k3s that is at hand, a mirror that has it, and something that pulls images."""
    bare_site.root = clone(tmp_path / "clone")
    lock = bare_site.root / "lock.yml"
    pinned = yaml.safe_load(lock.read_text())["downloads"]["k3s"]
    program = doubles.program("k3s", VERSION=pinned["version"])
    lock.write_text(lock.read_text().replace(pinned["amd64"]["sha256"], hashlib.sha256(program).hexdigest()))
    release = tmp_path / "mirror/github.com/k3s-io/k3s/releases/download" / pinned["version"] / "k3s"
    release.parent.mkdir(parents=True)
    release.write_bytes(program)
    releases(tmp_path / "mirror")
    bare_site.environment |= {
        "ISTIOCTL": newest_istioctl(),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "TITANIUM_APP_REGISTRY": "registry.example.org/titanium",
        "TITANIUM_APP_VERSION": "1.0",
        "TITANIUM_GIT_URL": "https://git.example.org/titanium.git",
    }
    bare_site.extra = {
        "bundle_pull_command": ["cp", str(image(tmp_path / "image.tar")), "ARCHIVE"],
        "titanium_download_mirror": f"file://{tmp_path}/mirror",
    }
    return bare_site


@pytest.mark.timeout(900)
@pytest.mark.parametrize("layers", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_made_and_installed_from(offline: Site, tmp_path: Path, layers: bool) -> None:
    offline.extra |= {f"titanium_{layer}": layers for layer in ("metrics", "logs", "gitops", "grafana")}
    archive = tmp_path / "all.bundle"
    made = offline.must("playbooks/bundle.yml", "-e", f"bundle_file={archive}")
    bundle = Bundle(archive)
    assert bundle.fingerprint in made.output

    references = {entry["reference"] for entry in bundle.index.images}
    lock = yaml.safe_load((ROOT / "lock.yml").read_text())
    locked = {
        f"{entry['repository']}:{entry['tag']}" + (f"@{entry['digest']}" if entry["digest"] else "")
        for entry in lock["images"].values()
    }
    application = {f"registry.example.org/titanium/{name}:1.0" for name in SERVICES}
    assert application <= references
    assert references - application <= locked, f"outside lock.yml: {sorted(references - application - locked)}"
    for name in RUNS | (LAYERS_RUN if layers else set()):
        assert any(r.startswith(f"{lock['images'][name]['repository']}:") for r in references), name

    release = f"github.com/k3s-io/k3s/releases/download/{lock['downloads']['k3s']['version']}/k3s"
    downloads = {file.path: file.sha256 for file in bundle.index.files if file.path.startswith("downloads/")}
    program = (tmp_path / "mirror" / release).read_bytes()
    manifests = {
        f"downloads/{place(lock['downloads'][name]['url'])}": lock["downloads"][name]["sha256"]
        for name in NAMES
        if layers
    }
    assert downloads == {f"downloads/{release}": hashlib.sha256(program).hexdigest(), **manifests}

    # On a machine that has nothing: the layers are left out, what comes before them is not.
    shutil.rmtree(tmp_path / "mirror")
    offline.environment["XDG_CACHE_HOME"] = str(tmp_path / "elsewhere")
    del offline.extra["titanium_download_mirror"]
    arguments = ("-e", f"bundle={archive}", "-e", f"bundle_fingerprint={bundle.fingerprint}")
    machines = tmp_path / "machines.yml"
    machine = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    machines.write_text(json.dumps({"k3s_cluster": {"hosts": {"worker-1": machine}}}))
    playbook = tmp_path / "playbook.yml"
    playbook.write_text(PLAYBOOK.format(site=offline.root / "site.yml"))
    installed = offline.must(str(playbook), "-i", str(machines), "--tags", "none", *arguments)
    assert (tmp_path / "elsewhere/titanium/downloads" / release).read_bytes() == program
    # Machines take it from there, and every image.
    assert f"k3s: file://{tmp_path}/elsewhere/titanium/downloads/{release.replace('+', '%2B')}" in installed.flat
    assert f"archives: {len(references)}" in installed.flat
    redis = lock["images"]["redis"]
    assert f"redis: {redis['repository']}:{redis['tag']};" in installed.flat
    # The layers' roles find there what they would have downloaded; there is nowhere else.
    offline.environment |= dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:1")
    mirror = f"titanium_download_mirror=file://{tmp_path}/elsewhere/titanium/downloads"
    offline.must("site.yml", "--check", "--tags", "metrics,logs,gitops,dashboards", "-e", mirror)


def test_without_an_istioctl_it_is_not_known_what_the_mesh_runs(offline: Site, tmp_path: Path) -> None:
    offline.environment["ISTIOCTL"] = "/nowhere/istioctl"
    done = offline.play("playbooks/bundle.yml", "-e", f"bundle_file={tmp_path / 'all.bundle'}")
    assert done.status != 0
    assert "cannot run /nowhere/istioctl, so that it is not known what the mesh runs" in done.flat
    assert not (tmp_path / "all.bundle").exists()
