"""Where the state lives: the example of a backend configuration works, and locks."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.doubles import s3
from tests.integration.terraform.conftest import Workspace, clean_environment

if TYPE_CHECKING:
    from pathlib import Path

KEY = "solid-cloud/titanium.tfstate"
STATE = {
    "version": 4,
    "terraform_version": "1.11.4",
    "serial": 1,
    "lineage": "a-test",
    "outputs": {"hello": {"value": "world", "type": "string"}},
    "resources": [],
}


def test_state_in_an_object_store(terraform_config: Path, initialised: Path, tmp_path: Path) -> None:
    folder = tmp_path / "terraform"
    shutil.copytree(initialised, folder, ignore=shutil.ignore_patterns(".terraform", "backend_override.tf"))
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    workspace = Workspace(folder, {**clean_environment(terraform_config), **keys})

    done = workspace.terraform("init", "-input=false")
    assert done.status == 1
    assert 'The attribute "bucket" is required by the backend' in done.flat

    objects: dict[str, bytes] = {}
    log: list[str] = []
    with s3.serve(objects, log) as url:
        example = (workspace.root / "backend.hcl.example").read_text()
        (workspace.root / "backend.hcl").write_text(example.replace("https://objects.example.com", url))
        done = workspace.terraform("init", "-input=false", "-backend-config=backend.hcl")
        assert done.status == 0, done.output

        (tmp_path / "state.json").write_text(json.dumps(STATE))
        done = workspace.run("terraform", "state", "push", str(tmp_path / "state.json"))
        assert done.status == 0, done.output
        assert json.loads(objects[KEY])["outputs"]["hello"]["value"] == "world"
        assert log.index(f"PUT {KEY}.tflock") < log.index(f"PUT {KEY}") < log.index(f"DELETE {KEY}.tflock")
        assert list(objects) == [KEY], "the lock is gone"

        objects[f"{KEY}.tflock"] = json.dumps({"ID": "other", "Who": "colleague@laptop", "Operation": "apply"}).encode()
        refused = workspace.run("terraform", "state", "push", str(tmp_path / "state.json"))
        assert refused.status == 1
        assert "Error acquiring the state lock" in refused.output
        assert "colleague@laptop" in refused.output
