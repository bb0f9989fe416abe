"""The modules by themselves: form, schema, versions, and their own `terraform test` files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.doubles.cloudstack import mirror
from tests.integration.terraform.conftest import ENVIRONMENT, ROOT, Workspace, clean_environment

FOLDERS = (ENVIRONMENT, *(Path("modules") / name for name in ("compute", "firewall", "kubernetes", "network")))


def test_format(workspace: Workspace) -> None:
    done = workspace.run("terraform", "fmt", "-no-color", "-check", "-recursive", "-diff", str(ROOT / "terraform"))
    assert done.status == 0, done.output


def test_configuration_is_valid(workspace: Workspace) -> None:
    done = workspace.terraform("validate")
    assert done.status == 0, done.output
    assert "Warning" not in done.output


@pytest.mark.parametrize("name", FOLDERS, ids=lambda path: path.name)
def test_module(name: Path, workspace: Workspace) -> None:
    folder = workspace.folder / name
    workspace.environment.pop("CLOUDSTACK_SECRET_KEY")  # nothing here may need a cloud
    done = workspace.run("terraform", "init", "-no-color", "-input=false", cwd=folder)
    assert done.status == 0, done.output
    done = workspace.run("terraform", "test", "-no-color", cwd=folder)
    assert done.status == 0, done.output
    assert " 0 failed." in done.output


def test_double_has_the_schema_of_the_provider(workspace: Workspace) -> None:
    shown = json.loads(workspace.run("terraform", "providers", "schema", "-json").output)
    known = json.loads((ROOT / "tests/doubles/cloudstack/provider/schema.json").read_text())
    [double], [real] = shown["provider_schemas"].values(), known["provider_schemas"].values()
    assert double["provider"]["block"] == real["provider"]["block"]
    assert double["resource_schemas"].keys() == real["resource_schemas"].keys()
    for name, schema in real["resource_schemas"].items():
        assert double["resource_schemas"][name] == schema, name


def test_nothing_but_the_cloud_is_needed(workspace: Workspace) -> None:
    text = "".join(path.read_text() for path in (ROOT / "terraform").rglob("*.tf"))
    for word in ("null_resource", "time_sleep", "terraform_data", "local-exec", "remote-exec", 'provider "kubernetes"'):
        assert word not in text
    shown = workspace.run("terraform", "providers").output
    assert shown.count("provider[") == shown.count("provider[registry.terraform.io/cloudstack/cloudstack]") > 0


@pytest.mark.parametrize("version", mirror.VERSIONS)
def test_provider_releases(version: str, initialised: Path, tmp_path: Path) -> None:
    folder = tmp_path / "terraform"
    shutil.copytree(initialised, folder, ignore=shutil.ignore_patterns(".terraform", ".terraform.lock.hcl"))
    config = mirror.build(tmp_path, (version,))
    workspace = Workspace(folder, clean_environment(config))
    done = workspace.terraform("init", "-input=false")
    assert done.status == 0, done.output
    assert f"Installed cloudstack/cloudstack v{version}" in done.output


def test_state_and_answers_stay_out_of_git() -> None:
    ignored = (ROOT / "terraform/.gitignore").read_text().split()
    assert {"*.tfstate", ".terraform/", "terraform.tfvars", "backend.hcl", "*_override.tf"} <= set(ignored)
    # The lock file holds the hashes of the real provider, which whoever first initialises adds; never the double's.
    lock = ROOT / "terraform" / ENVIRONMENT / ".terraform.lock.hcl"
    assert not lock.exists() or "zh:" in lock.read_text()
