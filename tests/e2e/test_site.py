"""site.yml on a running platform: nothing to do, drift shown exactly, drift mended."""

from __future__ import annotations

import json
import re

from .conftest import kept_by_argocd, kubectl, playbook, taken_back

NAMESPACE = "titanium-prod"


def test_second_run_changes_nothing() -> None:
    run = playbook("site.yml")
    assert run.returncode == 0, run.output
    assert run.recap("changed") == 0, run.output


def test_check_is_quiet_on_a_running_platform() -> None:
    run = playbook("site.yml", "--check", "--diff")
    assert run.returncode == 0, run.output
    assert run.recap("changed") == 0, run.output
    assert not re.search(r"^[+-](?![+-]{2} )", run.stdout, re.MULTILINE), run.stdout


def test_edited_deployment_is_shown_and_mended() -> None:
    history = ("-n", NAMESPACE, "get", "deployment", "blog-service", "-o", "jsonpath={.spec.revisionHistoryLimit}")
    wanted = int(kubectl(*history))
    patch = json.dumps({"spec": {"revisionHistoryLimit": wanted + 1}})
    kubectl("-n", NAMESPACE, "patch", "deployment", "blog-service", "-p", patch)
    if kept_by_argocd():
        # Who mends it is another one, and a run has nothing to show.
        taken_back(lambda: int(kubectl(*history)) == wanted)
        quiet = playbook("site.yml", "--tags", "blog", "--check", "--diff")
        assert quiet.returncode == 0, quiet.output
        assert quiet.recap("changed") == 0, quiet.output
        return

    check = playbook("site.yml", "--tags", "blog", "--check", "--diff")
    assert check.returncode == 0, check.output
    assert f"-  revisionHistoryLimit: {wanted + 1}" in check.stdout
    assert f"+  revisionHistoryLimit: {wanted}" in check.stdout
    # Exactly that: one line goes, one comes.
    assert len(re.findall(r"^[+-](?![+-]{2} )", check.stdout, re.MULTILINE)) == 2, check.stdout

    mend = playbook("site.yml", "--tags", "blog")
    assert mend.returncode == 0, mend.output
    assert mend.recap("changed") == 1, mend.output
    assert int(kubectl(*history)) == wanted


def test_edited_configmap_is_shown_and_mended() -> None:
    label = "app.kubernetes.io/name=redis"
    [before] = json.loads(kubectl("-n", NAMESPACE, "get", "configmap", "-l", label, "-o", "json"))["items"]
    name, data = before["metadata"]["name"], before["data"]
    key = next(iter(data))
    kubectl("-n", NAMESPACE, "patch", "configmap", name, "-p", json.dumps({"data": {key: data[key] + "# by hand\n"}}))

    check = playbook("site.yml", "--tags", "redis", "--check", "--diff")
    assert check.returncode == 0, check.output
    assert "# by hand" in check.stdout

    mend = playbook("site.yml", "--tags", "redis")
    assert mend.returncode == 0, mend.output
    after = json.loads(kubectl("-n", NAMESPACE, "get", "configmap", name, "-o", "json"))
    assert after["data"] == data


def test_verify_walks_through_the_blog() -> None:
    run = playbook("playbooks/verify.yml")
    assert run.returncode == 0, run.output
    for step in ("sign up", "log in", "write a post", "read it back", "delete the post"):
        assert step in run.stdout


def test_status_lists_the_workloads() -> None:
    run = playbook("playbooks/status.yml")
    assert run.returncode == 0, run.output
    for name in ("api-gateway", "auth-service", "user-service", "blog-service", "postgresql", "redis", "coredns"):
        assert name in run.stdout
    assert "not all ready" not in run.stdout
