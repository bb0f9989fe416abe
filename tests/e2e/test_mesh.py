"""Who may do what inside the mesh: every caller, every callee, every method and path, asked on the running cluster."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import time
from typing import TYPE_CHECKING

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

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
  annotations:
    # Certificates of a minute, renewed after half of it.
    proxy.istio.io/config: '{{"proxyMetadata": {{"SECRET_TTL": "1m"}}}}'
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


def account() -> tuple[str, str]:
    """Make an account; return its name and an access token."""
    name, password = f"mesh-{secrets.token_hex(4)}", secrets.token_urlsafe(18)
    body = {"username": name, "email": f"{name}@example.org", "password": password}
    assert httpx.post(f"{EDGE}/api/register", json=body, timeout=10).status_code == 201
    answer = httpx.post(f"{EDGE}/api/login", json={"username": name, "password": password}, timeout=10)
    return name, answer.json()["token"]


def test_tokens_are_looked_at() -> None:
    """Valid, expired, forged, garbage, none: only with the first one may write."""
    _, valid = account()
    header, claims = jwt.get_unverified_header(valid), jwt.decode(valid, options={"verify_signature": False})
    secret = json.loads(kubectl("-n", NAMESPACE, "get", "secret", "jwt-signing-key", "-o", "json"))["data"]
    ours = load_pem_private_key(base64.b64decode(secret["current.pem"]), None)
    assert isinstance(ours, Ed25519PrivateKey)
    old = claims | {"iat": claims["iat"] - 3600, "exp": claims["exp"] - 3600}
    expired = jwt.encode(old, ours, algorithm="EdDSA", headers=header)
    forged = jwt.encode(claims, Ed25519PrivateKey.generate(), algorithm="EdDSA", headers=header)
    post = {"title": "", "content": "", "category_id": 0}
    answers = {
        name: httpx.post(f"{EDGE}/blog/api/posts", json=post, headers={"Authorization": value} if value else {})
        for name, value in {
            "valid": f"Bearer {valid}",
            "expired": f"Bearer {expired}",
            "forged": f"Bearer {forged}",
            "garbage": "Bearer nonsense",
            "none": "",
        }.items()
    }
    print({name: (answer.status_code, answer.text[:60]) for name, answer in answers.items()})
    # Refused for what it says, not for who says it.
    assert answers.pop("valid").status_code in (400, 422)
    assert {answer.status_code for answer in answers.values()} == {401}, answers
    for answer in answers.values():
        assert answer.headers["content-type"].startswith("application/"), answer.headers
        assert "json" in answer.headers["content-type"]
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_https_at_the_edge_with_a_certificate_of_the_platforms_own() -> None:
    context = ssl.create_default_context(cafile="/var/lib/titanium/secrets/edge/ca.crt")
    assert httpx.get("https://127.0.0.1:31443/blog/", verify=context).status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get("https://127.0.0.1:31443/blog/")


def certificate(pod: str) -> str:
    """Return the certificate that a pod's proxy shows."""
    [chain] = [
        entry["secret"]["tlsCertificate"]["certificateChain"]["inlineBytes"]
        for entry in json.loads(istioctl("proxy-config", "secret", f"{pod}.{NAMESPACE}", "-o", "json"))[
            "dynamicActiveSecrets"
        ]
        if entry["name"] == "default"
    ]
    return str(chain)


def test_certificates_are_renewed_and_nobody_notices() -> None:
    """The stranger's last for a minute: what it may ask (nothing, over mutual TLS) is answered all the same."""
    first = certificate(STRANGER)
    deadline = time.monotonic() + 90
    call = Call("auth-service", 8002, "GET", "/verify")
    while certificate(STRANGER) == first:
        assert time.monotonic() < deadline, "no new certificate within 90 s"
        assert calls_from(STRANGER, STRANGER, [call]) == ["denied"]
        time.sleep(2)
    assert calls_from(STRANGER, STRANGER, [call] * 3) == ["denied"] * 3


LIAR = "liar"
"""A pod of blog-service that takes requests and breaks off without an answer."""

LIES = r"""
import socketserver

class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        request = self.rfile.readline().decode().split()
        length = 0
        while (line := self.rfile.readline().strip().lower()):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        body = self.rfile.read(length).decode()
        if request and request[1] in ("/ready", "/health"):
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        else:
            print(*request, body, flush=True)

class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

Server(("", 8005), Handler).serve_forever()
"""


@pytest.fixture
def liar() -> Iterator[None]:
    """Let one more pod answer for blog-service: one that does not answer."""
    image = kubectl("-n", NAMESPACE, "get", "pod", pod_of("user-service"), "-o", "jsonpath={.spec.containers[0].image}")
    restricted = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    labels = {"app": "blog-service", "app.kubernetes.io/name": "blog-service", "version": "v1"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": LIAR, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "serviceAccountName": "blog-service",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "blog-service",
                    "image": image,
                    "command": ["python3", "-c", LIES],
                    "ports": [{"name": "http", "containerPort": 8005}],
                    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 1},
                    "securityContext": restricted,
                }
            ],
        },
    }
    kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    kubectl("-n", NAMESPACE, "wait", "--for=condition=Ready", "pod", LIAR, "--timeout=60s")
    yield
    kubectl("-n", NAMESPACE, "delete", "pod", LIAR)


@pytest.mark.usefixtures("liar")
def test_what_a_pod_may_have_acted_on_is_repeated_only_if_it_changes_nothing() -> None:
    name, token = account()
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=EDGE, timeout=30, headers=headers) as client:
        titles = [f"{name} {number}" for number in range(40)]
        written, lost = {}, []
        for title in titles:
            answer = client.post("/blog/api/posts", json={"title": title, "content": "once", "category_id": 3})
            if answer.status_code == 201:
                written[title] = answer.json()["id"]
            else:
                assert answer.status_code in (502, 503), answer.text
                assert answer.headers["retry-after"]
                lost.append(title)
        reads = [client.get(f"/blog/api/posts/{post}").status_code for post in list(written.values()) * 2]
        seen = kubectl("-n", NAMESPACE, "logs", LIAR, "-c", "blog-service").splitlines()
        existing = [post["title"] for post in client.get("/blog/api/posts", params={"limit": 100}).json()]
        for post in written.values():
            while client.delete(f"/blog/api/posts/{post}").status_code == 503:
                time.sleep(0.1)

    posted = [title for line in seen if line.startswith("POST") for title in titles if f'"{title}"' in line]
    print(
        f"\n{len(written)} written, {len(lost)} broken off; the liar saw {len(posted)} POST and {len(seen) - len(posted)} GET"
    )
    assert lost, "no request met the pod that breaks off"
    assert sorted(posted) == sorted(lost), "what broke off was seen once, and by nobody else"
    assert sorted(title for title in existing if title.startswith(name)) == sorted(written)
    assert any(line.startswith("GET") for line in seen)
    assert set(reads) == {200}, "a read that broke off is repeated"


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
