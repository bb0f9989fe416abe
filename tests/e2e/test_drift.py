"""playbooks/drift.yml on a running platform: quiet, then naming exactly what somebody changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .conftest import kept_by_argocd, kubectl, playbook, taken_back, well

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION = "titanium-prod"


def test_no_drift(tmp_path: Path) -> None:
    report = tmp_path / "drift.json"
    run = playbook("playbooks/drift.yml", "-e", f"drift_report={report}")
    assert run.returncode == 0, run.output
    assert run.recap("changed") == 0, run.output
    assert json.loads(report.read_text()) == {"drift": [], "errors": []}
    assert "no drift" in run.stdout


def test_edits_by_hand_are_named_and_kept(tmp_path: Path) -> None:
    """One object edited, one scaled, one deleted. Those of the application are Argo CD's to take back, where it has them."""
    argocd = kept_by_argocd()
    environment = ("-n", APPLICATION, "get", "configmap", "service-environment", "-o", "json")
    level = json.loads(kubectl(*environment))["data"]["LOG_LEVEL"]
    scale = ("-n", "kube-system", "get", "deployment", "coredns", "-o", "jsonpath={.spec.replicas}")
    replicas = int(kubectl(*scale))
    budget = kubectl("-n", APPLICATION, "get", "pdb", "api-gateway", "-o", "json")
    report = tmp_path / "drift.json"
    try:
        patch = json.dumps({"data": {"LOG_LEVEL": f"{level}x"}})
        kubectl("-n", APPLICATION, "patch", "configmap", "service-environment", "--type", "merge", "-p", patch)
        kubectl("-n", "kube-system", "scale", "deployment", "coredns", f"--replicas={replicas + 1}")
        kubectl("-n", APPLICATION, "delete", "pdb", "api-gateway")
        if argocd:
            taken_back(
                lambda: (
                    json.loads(kubectl(*environment))["data"]["LOG_LEVEL"] == level
                    and kubectl("-n", APPLICATION, "get", "pdb", "api-gateway", "--ignore-not-found")
                )
            )

        roles = json.dumps({"drift_roles": ["coredns", "blog"]})
        run = playbook("playbooks/drift.yml", "-e", f"drift_report={report}", "-e", roles)
        assert run.returncode == 2, run.output
        found = json.loads(report.read_text())
        assert found["errors"] == []
        expected: set[tuple[str, ...]] = {("Deployment kube-system/coredns", "changed", "spec.replicas")}
        if not argocd:
            expected |= {
                (f"ConfigMap {APPLICATION}/service-environment", "changed", "data.LOG_LEVEL"),
                (f"PodDisruptionBudget {APPLICATION}/api-gateway", "missing"),
            }
        assert {(row["object"], row["change"], *row["fields"]) for row in found["drift"]} == expected
        for row in found["drift"]:
            assert row["object"] in run.stdout

        # It only looked.
        assert json.loads(kubectl(*environment))["data"]["LOG_LEVEL"] == (level if argocd else f"{level}x")
        assert int(kubectl(*scale)) == replicas + 1
    finally:
        mend = playbook("site.yml", "--tags", "blog,coredns")
    assert mend.returncode == 0, mend.output
    well()
    assert json.loads(kubectl(*environment))["data"]["LOG_LEVEL"] == level
    assert int(kubectl(*scale)) == replicas
    assert (
        json.loads(kubectl("-n", APPLICATION, "get", "pdb", "api-gateway", "-o", "json"))["spec"]
        == json.loads(budget)["spec"]
    )
    assert playbook("playbooks/drift.yml", "-e", roles).returncode == 0


def test_a_cluster_that_is_not_there_is_no_quiet_one(tmp_path: Path) -> None:
    report = tmp_path / "drift.json"
    roles = json.dumps({"drift_roles": ["coredns"], "titanium_kubeconfig": "/nonexistent"})
    run = playbook("playbooks/drift.yml", "-e", f"drift_report={report}", "-e", roles)
    assert run.returncode == 2, run.output
    assert {row["change"] for row in json.loads(report.read_text())["drift"]} == {"missing"}
