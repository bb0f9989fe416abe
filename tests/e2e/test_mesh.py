"""Who may do what inside the mesh: every caller, every callee, every method and path, asked on the running cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from .conftest import EDGE, kubectl
from .mesh import NAMESPACE, Call, calls_from, istioctl, pod_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = ("api-gateway", "auth-service", "user-service", "blog-service")
STRANGER = "stranger"
OUTSIDE = "default/outside"

# The first bytes that a client of PostgreSQL (SSLRequest) and of Redis sends.
POSTGRESQL = Call("postgresql", 5432, sends="0000000804d2162f")
REDIS = Call("redis", 6379, sends="50494e470d0a")

# Call, and who may make it.
TABLE: dict[Call, set[str]] = {
    Call("api-gateway", 80, "GET", "/health"): set(),
    Call("api-gateway", 8000, "GET", "/metrics"): set(),
    Call("api-gateway", 8000, "GET", "/stats"): set(),
    Call("auth-service", 8002, "GET", "/login"): {"api-gateway"},
    Call("auth-service", 8002, "POST", "/login"): {"api-gateway"},
    Call("auth-service", 8002, "DELETE", "/login"): set(),
    Call("auth-service", 8002, "GET", "/verify"): {"api-gateway"},
    Call("auth-service", 8002, "POST", "/auth/refresh"): {"api-gateway"},
    Call("auth-service", 8002, "PUT", "/auth/password"): {"api-gateway"},
    Call("auth-service", 8002, "GET", "/.well-known/jwks.json"): {"user-service", "blog-service"},
    Call("auth-service", 8002, "GET", "/metrics"): set(),
    Call("auth-service", 8002, "GET", "/docs"): set(),
    Call("user-service", 8001, "GET", "/users/nobody-here"): {"api-gateway"},
    Call("user-service", 8001, "POST", "/users"): {"api-gateway"},
    Call("user-service", 8001, "DELETE", "/users/nobody-here"): set(),
    Call("user-service", 8001, "POST", "/internal/verify-credentials"): {"auth-service"},
    Call("user-service", 8001, "GET", "/internal/accounts/0"): {"auth-service"},
    Call("user-service", 8001, "GET", "/stats"): set(),
    Call("blog-service", 8005, "GET", "/blog/api/posts"): {"api-gateway"},
    Call("blog-service", 8005, "POST", "/blog/api/posts"): {"api-gateway"},
    Call("blog-service", 8005, "DELETE", "/blog/api/posts/1"): {"api-gateway"},
    Call("blog-service", 8005, "GET", "/metrics"): set(),
    Call("blog-service", 8005, "GET", "/openapi.json"): set(),
    POSTGRESQL: {"auth-service", "user-service", "blog-service"},
    REDIS: set(SERVICES),
}

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  namespace: {namespace}
  labels: {{app: {name}}}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  securityContext: {{runAsNonRoot: true, runAsUser: 10001, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
    - name: {name}
      image: {image}
      command: [python3, -c, "import signal; signal.pause()"]
      securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
"""


@pytest.fixture(scope="module", autouse=True)
def others() -> Iterator[None]:
    """A pod in the mesh that nobody knows, and one outside of it."""
    image = kubectl("-n", NAMESPACE, "get", "pod", pod_of("user-service"), "-o", "jsonpath={.spec.containers[0].image}")
    pods = "---".join(
        POD.format(name=name, namespace=namespace, image=image)
        for name, namespace in ((STRANGER, NAMESPACE), ("outside", "default"))
    )
    kubectl("apply", "-f", "-", stdin=pods)
    kubectl("-n", NAMESPACE, "wait", "--for=condition=Ready", "pod", STRANGER, "--timeout=60s")
    kubectl("-n", "default", "wait", "--for=condition=Ready", "pod", "outside", "--timeout=60s")
    yield
    kubectl("delete", "--wait=false", "-f", "-", stdin=pods)


@pytest.mark.parametrize("caller", [*SERVICES, STRANGER])
def test_callers_may_do_what_the_table_says_and_nothing_else(caller: str) -> None:
    calls = [call for call in TABLE if call.callee != caller]
    answers = calls_from(STRANGER if caller == STRANGER else pod_of(caller), caller, calls)
    wrong = []
    for call, answer in zip(calls, answers, strict=True):
        may = caller in TABLE[call]
        print(f"{caller:13} {call.callee:13} {call.title:35} {answer}")
        if may == (answer == "denied") or answer.startswith("refused"):
            wrong.append(f"{call.callee} {call.title}: {answer}, but it {'may' if may else 'must not'}")
    assert not wrong, "\n".join(wrong)


def test_plain_text_is_refused_everywhere() -> None:
    answers = calls_from("outside", "outside", list(TABLE), namespace="default")
    wrong = [
        f"{call.callee} {call.title}: {answer}"
        for call, answer in zip(TABLE, answers, strict=True)
        if not answer.startswith("refused") and answer != "denied"
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/stats",
        "/docs",
        "/openapi.json",
        "/ready",
        "/internal/accounts/1",
        "/api/nothing",
        "/api/users/verify-credentials",
    ],
)
def test_paths_for_inside_do_not_exist_at_the_edge(path: str) -> None:
    answer = httpx.get(EDGE + path)
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json()


def test_unknown_paths_of_the_blogs_api_are_json() -> None:
    answer = httpx.get(f"{EDGE}/blog/api/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/json")


def test_every_pod_of_the_application_has_a_sidecar_and_no_privilege() -> None:
    pods = json.loads(kubectl("-n", NAMESPACE, "get", "pods", "-o", "json"))["items"]
    assert pods
    for pod in pods:
        containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
        assert "istio-proxy" in {container["name"] for container in containers}, pod["metadata"]["name"]
        for container in containers:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, (pod["metadata"]["name"], container["name"])
            assert context["capabilities"] == {"drop": ["ALL"]}, (pod["metadata"]["name"], container["name"])
            assert context["readOnlyRootFilesystem"] is True, (pod["metadata"]["name"], container["name"])


def test_configuration_is_sound_and_every_proxy_has_it() -> None:
    analysis = istioctl("analyze", "--all-namespaces", "--failure-threshold", "Error")
    assert "Error" not in analysis, analysis
    status = istioctl("proxy-status")
    assert "STALE" not in status, status
    for name in (*SERVICES, "postgresql", "redis", "istio-ingressgateway"):
        assert name in status, status
