"""Metrics and alerts, from outside: every target answers, what is behind mutual TLS too, and an alert reaches who is to be told."""

from __future__ import annotations

import json
import re
import secrets
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from .conftest import ROOT, kept_by_argocd, kubectl
from .mesh import NAMESPACE, pod_of

if TYPE_CHECKING:
    from collections.abc import Iterator

PROMETHEUS = "http://127.0.0.1:30090"
ALERTMANAGER = "http://127.0.0.1:30093"
MONITORING = "monitoring"
JOBS = {
    "alertmanager", "api-gateway", "apiserver", "auth-service", "blog-service", "cadvisor", "coredns", "envoy", "etcd", "istiod",
    "kube-controller-manager", "kube-scheduler", "kubelet", "node-exporter", "postgresql", "prometheus", "prometheus-operator", "redis",
    "user-service",
}  # fmt: skip

ARGOCD_JOBS = {"argocd", "argocd-repo-server"}


@pytest.fixture(scope="module", autouse=True)
def measured() -> None:
    """The platform measures itself only where titanium_metrics is true."""
    if not kubectl("get", "prometheuses", "--namespace", MONITORING, "--ignore-not-found", check=False).strip():
        pytest.skip("no Prometheus in this platform (titanium_metrics)")


def query(expression: str) -> list[dict[str, Any]]:
    """Return the result of an instant query."""
    answer = httpx.get(f"{PROMETHEUS}/api/v1/query", params={"query": expression}, timeout=10)
    assert answer.status_code == 200, answer.text
    result: list[dict[str, Any]] = answer.json()["data"]["result"]
    return result


def targets() -> list[dict[str, Any]]:
    """Return what Prometheus looks at."""
    found: list[dict[str, Any]] = httpx.get(f"{PROMETHEUS}/api/v1/targets", timeout=10).json()["data"]["activeTargets"]
    return found


def test_web_pages_answer_on_their_node_ports() -> None:
    for url in (PROMETHEUS, ALERTMANAGER):
        assert httpx.get(f"{url}/-/ready", timeout=10).status_code == 200
        page = httpx.get(url, follow_redirects=True, timeout=10)
        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")


def test_every_target_is_up() -> None:
    expected = JOBS | (ARGOCD_JOBS if kept_by_argocd() else set())
    deadline = time.monotonic() + 120
    while True:
        seen = targets()
        down = [f"{t['labels']['job']} {t['scrapeUrl']}: {t['lastError']}" for t in seen if t["health"] != "up"]
        jobs = {target["labels"]["job"] for target in seen}
        if not down and jobs >= expected:
            return
        assert time.monotonic() < deadline, f"missing: {sorted(expected - jobs)}; down: {down}"
        time.sleep(5)


def test_services_are_asked_by_mutual_tls() -> None:
    """Their sidecars demand it, and the certificate of Prometheus' own service account."""
    for job in ("api-gateway", "auth-service", "user-service", "blog-service", "postgresql", "redis"):
        mine = [target for target in targets() if target["labels"]["job"] == job]
        assert mine, job
        for target in mine:
            assert target["scrapeUrl"].startswith("https://"), target
            assert target["labels"]["namespace"] == NAMESPACE
            assert target["labels"]["pod"].startswith("metrics-exporters" if job in ("postgresql", "redis") else job)


def test_series_say_which_service_and_pod() -> None:
    for series in query("http_requests_total{job='blog-service'}"):
        assert series["metric"]["service"] == "blog-service"
        assert series["metric"]["pod"].startswith("blog-service-")
    assert query("pg_up == 1")
    assert query("redis_up == 1")
    assert query("sum(container_memory_working_set_bytes{namespace='titanium-prod', container='postgresql'}) > 0")
    assert query("etcd_server_has_leader == 1")
    assert query("node_memory_MemAvailable_bytes > 0")
    assert query("min(istio_agent_cert_expiry_seconds{job='envoy'}) > 0")


def test_argocd_has_its_rules_and_what_they_read() -> None:
    """Where it runs; elsewhere there are no rules either."""
    loaded = [group["name"] for group in httpx.get(f"{PROMETHEUS}/api/v1/rules", timeout=10).json()["data"]["groups"]]
    assert ("gitops" in loaded) == kept_by_argocd(), loaded
    if kept_by_argocd():
        names = set(re.findall(r"\bargocd_\w+", (ROOT / "roles/prometheus/files/rules/gitops.yaml").read_text()))
        assert names
        assert [name for name in sorted(names) if not query(name)] == []
        assert query('argocd_app_info{name="blog", sync_status="Synced", health_status="Healthy"}')


# A name that no earlier run's alert has, which may not have been given up yet.
ALERT = f"WebhookTest{secrets.token_hex(4)}"
WEBHOOK = """
apiVersion: v1
kind: Service
metadata: {{name: webhook, namespace: {namespace}}}
spec:
  selector: {{app: webhook}}
  ports: [{{name: http, port: 8080}}]
---
apiVersion: v1
kind: Pod
metadata:
  name: webhook
  namespace: {namespace}
  labels: {{app: webhook}}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext: {{runAsNonRoot: true, runAsUser: 10001, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: webhook
      image: {image}
      command:
        - python3
        - -uc
        - |
          import sys
          from http.server import BaseHTTPRequestHandler, HTTPServer
          class Receiver(BaseHTTPRequestHandler):
              def do_POST(self):
                  print(self.rfile.read(int(self.headers["content-length"])).decode())
                  self.send_response(200)
                  self.end_headers()
              def log_message(self, *_):
                  pass
          HTTPServer(("", 8080), Receiver).serve_forever()
      securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
---
apiVersion: monitoring.coreos.com/v1alpha1
kind: AlertmanagerConfig
metadata: {{name: webhook-test, namespace: {namespace}}}
spec:
  route: {{receiver: webhook, groupBy: [alertname], groupWait: 10s, groupInterval: 10s}}
  receivers:
    - name: webhook
      webhookConfigs: [{{url: "http://webhook.{namespace}.svc.cluster.local:8080/", sendResolved: true}}]
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {{name: webhook-test, namespace: {namespace}}}
spec:
  groups:
    - name: webhook-test
      interval: 1s
      rules:
        - {{alert: {alert}, expr: "vector(1)", labels: {{severity: warning, namespace: {namespace}}}}}
        - {{alert: {alert}, expr: "vector(1)", labels: {{severity: critical, namespace: {namespace}}}}}
"""


def hurry() -> None:
    """Have the kubelet hand new configuration to Prometheus and Alertmanager now instead of within a minute or two: it looks at a
    pod that has changed."""
    for pod in ("prometheus-prometheus-0", "alertmanager-alertmanager-0"):
        kubectl("-n", MONITORING, "annotate", "--overwrite", "pod", pod, f"titanium.test/looked-at={time.time_ns()}")


@pytest.fixture
def webhook() -> Iterator[None]:
    """A receiver in the cluster, and an alert for it, once critical and once a warning."""
    image = kubectl("-n", NAMESPACE, "get", "pod", pod_of("user-service"), "-o", "jsonpath={.spec.containers[0].image}")
    objects = WEBHOOK.format(namespace=MONITORING, image=image, alert=ALERT)
    kubectl("apply", "-f", "-", stdin=objects)
    try:
        kubectl("-n", MONITORING, "wait", "--for=condition=Ready", "pod", "webhook", "--timeout=60s")
        yield
    finally:
        # First Alertmanager forgets its receiver: it would keep a connection to the address that the Service had.
        kubectl("-n", MONITORING, "delete", "prometheusrule,alertmanagerconfig", "webhook-test", "--ignore-not-found")
        deadline = time.monotonic() + 120
        while "webhook-test" in httpx.get(f"{ALERTMANAGER}/api/v2/status", timeout=10).json()["config"]["original"]:
            assert time.monotonic() < deadline, "Alertmanager did not forget its receiver within 2 minutes"
            hurry()
            time.sleep(2)
        kubectl("delete", "--ignore-not-found", "-f", "-", stdin=objects)


def received() -> list[dict[str, Any]]:
    """Return the alerts that the receiver was told of."""
    lines = kubectl("-n", MONITORING, "logs", "webhook").splitlines()
    alerts = [alert for line in lines if line.startswith("{") for alert in json.loads(line)["alerts"]]
    return [alert for alert in alerts if alert["labels"]["alertname"] == ALERT]


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("webhook")
@pytest.mark.slow
def test_alert_reaches_a_webhook_and_resolves_and_the_critical_one_keeps_the_warning_quiet() -> None:
    started = time.monotonic()
    while not received():
        # The operator and the reloaders need their time to hand on rule and receiver.
        assert time.monotonic() - started < 480, "no alert within 8 minutes"
        hurry()
        time.sleep(5)
    print(f"\nfrom the rule to the receiver: {time.monotonic() - started:.0f} s")
    shown = httpx.get(f"{ALERTMANAGER}/api/v2/alerts", params={"filter": f"alertname={ALERT}"}, timeout=10).json()
    assert {alert["labels"]["severity"] for alert in shown} == {"critical", "warning"}
    assert {a["labels"]["severity"]: a["status"]["state"] for a in shown} == {
        "critical": "active",
        "warning": "suppressed",
    }
    # Longer than the group waits: the warning had its chance.
    time.sleep(15)
    assert {alert["labels"]["severity"] for alert in received()} == {"critical"}
    # Its reason is gone. An alert whose rule is gone would be given up only minutes later.
    kubectl("-n", MONITORING, "patch", "prometheusrule", "webhook-test", "--type=json", "-p", json.dumps([
        {"op": "replace", "path": f"/spec/groups/0/rules/{rule}/expr", "value": "vector(1) == 0"} for rule in (0, 1)
    ]))  # fmt: skip
    started = time.monotonic()
    while not any(alert["status"] == "resolved" for alert in received()):
        assert time.monotonic() - started < 480, "it did not resolve within 8 minutes"
        hurry()
        time.sleep(5)
    print(f"from the mended rule to the receiver: {time.monotonic() - started:.0f} s")
