"""The workflows keep the rules of the house; that they are valid is for actionlint and zizmor (scripts/ci/workflows.sh)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from .repository import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FILES = sorted((ROOT / ".github/workflows").glob("*.yml"))
# What a checkout in a bare container needs before there is a script to call.
BEFORE_CHECKOUT = "apt-get update --quiet && apt-get install --yes --no-install-recommends git ca-certificates"
Workflow = dict[Any, Any]


def load(file: Path) -> Workflow:
    """Read a workflow. YAML 1.1 takes its key `on` for true."""
    workflow: Workflow = yaml.safe_load(file.read_text(encoding="utf-8"))
    workflow["on"] = workflow.pop(True)
    return workflow


def jobs() -> list[Any]:
    """Every job, with its workflow."""
    return [
        pytest.param(workflow, job, id=f"{file.stem}-{name}")
        for file in FILES
        for workflow in [load(file)]
        for name, job in workflow["jobs"].items()
    ]


def test_there_are_some() -> None:
    assert {file.stem for file in FILES} == {"checks", "tests", "manifests", "terraform", "molecule", "images"}


@pytest.mark.parametrize(("_workflow", "job"), jobs())
def test_no_logic_of_their_own(_workflow: Workflow, job: Workflow) -> None:
    for step in job["steps"]:
        if "run" in step:
            line = step["run"]
            assert line == BEFORE_CHECKOUT or re.fullmatch(r"(scripts/[\w./-]+|make)( [\w./-]+)*", line), line
            called = line.split()[0]
            assert not called.startswith("scripts/") or (ROOT / called).is_file(), called


@pytest.mark.parametrize(("_workflow", "job"), jobs())
def test_actions_are_pinned_by_commit_with_the_release_beside(_workflow: Workflow, job: Workflow) -> None:
    lines = [line for file in FILES for line in file.read_text().splitlines()]
    for step in job["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
            assert any(re.search(rf"{re.escape(step['uses'])} # v\d+\.\d+\.\d+$", line) for line in lines), step["uses"]


@pytest.mark.parametrize(("workflow", "job"), jobs())
def test_least_permissions_and_nothing_for_forks(workflow: Workflow, job: Workflow) -> None:
    assert workflow["permissions"] == {}
    assert workflow["on"].keys() == {"pull_request", "push"}
    assert workflow["on"]["push"]["branches"] == ["main"]
    writes = {scope for scope, right in job["permissions"].items() if right != "read"}
    trusted = "github.event_name == 'push' && github.ref == 'refs/heads/main'"
    if writes:
        assert job["if"] == trusted
    text = yaml.safe_dump(job)
    assert not re.search(r"\$\{\{[^}]*\bsecrets\b", text)
    if "github.token" in text or "persist-credentials: true" in text:
        assert job["if"] == trusted
    assert job["timeout-minutes"] <= 90


def test_rights_are_these_and_no_more() -> None:
    given = {
        (file.stem, name, scope)
        for file in FILES
        for name, job in load(file)["jobs"].items()
        for scope, right in job["permissions"].items()
        if right == "write"
    }
    assert given == {
        ("images", "publish", "packages"),
        ("images", "publish", "id-token"),
        ("images", "bump", "contents"),
    }


def test_the_bump_starts_no_build() -> None:
    """It touches gitops/ alone; what builds images does not look there."""
    for event in ("push", "pull_request"):
        paths = load(ROOT / ".github/workflows/images.yml")["on"][event]["paths"]
        assert not any(path.startswith(("gitops", "*")) for path in paths)


def test_both_events_have_the_same_paths_and_those_exist() -> None:
    for file in FILES:
        events = load(file)["on"]
        paths = events["push"].get("paths")
        assert (events["pull_request"] or {}).get("paths") == paths
        for path in paths or []:
            assert (ROOT / path.removesuffix("/**")).exists(), f"{file.name}: {path}"
        if paths:
            assert f".github/workflows/{file.name}" in paths


def test_every_image_is_built_and_released() -> None:
    image_jobs = load(ROOT / ".github/workflows/images.yml")["jobs"]
    services = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    for name in ("scan", "publish"):
        assert set(image_jobs[name]["strategy"]["matrix"]["service"]) == services
    released = re.search(r"for name in (.*); do", (ROOT / "scripts/ci/release.sh").read_text())
    assert released is not None
    assert set(released[1].split()) == {service.replace("_", "-") for service in services}


def test_service_containers_are_what_the_platform_runs() -> None:
    containers = load(ROOT / ".github/workflows/tests.yml")["jobs"]["services"]["services"]
    lock = yaml.safe_load((ROOT / "lock.yml").read_text())["images"]
    for name, key in (("postgres", "postgresql"), ("redis", "redis")):
        assert containers[name]["image"] == f"{name}:{lock[key]['tag']}@{lock[key]['digest']}"
