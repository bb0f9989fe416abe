"""What a bundle would have in it is what the platform runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from plugins.lookup.rendered_images import LookupModule

from .conftest import ROOT, kubectl, playbook

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifests of the whole platform, as playbooks/bundle.yml has them rendered."""
    folder = tmp_path_factory.mktemp("rendered")
    run = playbook("site.yml", "--check", environment={"TITANIUM_RENDER_TO": str(folder)})
    assert run.returncode == 0, run.output
    return folder


def test_every_image_that_runs_would_be_in_it(rendered: Path) -> None:
    names = {
        name
        for path in ("containers", "initContainers")
        for name in kubectl("get", "pods", "-A", "-o", f"jsonpath={{.items[*].spec.{path}[*].image}}").split()
    }
    assert names
    listed = set(LookupModule().run([str(rendered)]))
    assert names <= listed, f"outside the list: {sorted(names - listed)}"


def test_every_image_in_it_is_built_here_or_locked(rendered: Path) -> None:
    locked = yaml.safe_load((ROOT / "lock.yml").read_text())["images"].values()
    known = re.compile(
        "|".join([r"localhost/titanium/[\w-]+:[0-9a-f]{16}", *(re.escape(i["repository"]) + "[:@]" for i in locked)])
    )
    unknown = [name for name in LookupModule().run([str(rendered)]) if not known.match(name)]
    assert not unknown


def test_no_secret_would_be_in_it(rendered: Path) -> None:
    for path in rendered.glob("*.yaml"):
        kinds = [manifest["kind"] for manifest in yaml.safe_load_all(path.read_text())]
        assert "Secret" not in kinds, path.name
