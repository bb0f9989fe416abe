"""Stands in for what a control plane without nodes lacks: a kubelet, Prometheus' operator, and a Loki and a Jaeger that answer."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from tests.integration.plugins.control_plane import ControlPlane

NAME = "node-1"
LOKI_PORT = 3100
#: OTLP over HTTP, and questions.
JAEGER_PORTS = (4318, 16686)
#: Custom resources that an operator would answer for.
OPERATED = ("prometheuses", "alertmanagers")


def own_address() -> str:
    """Return an address of this machine that the API server may be led to: none on the loopback interface's own network.

    Raises:
        RuntimeError: there is none.
    """
    shown = subprocess.run(
        ["ip", "-json", "-4", "address", "show", "scope", "global"], capture_output=True, text=True, check=True
    ).stdout
    links = json.loads(shown)
    found = [entry["local"] for link in links for entry in link.get("addr_info", []) if "local" in entry]
    if not found:
        raise RuntimeError("this machine has no address beside its loopback interface's")
    return str(found[0])


class Store(ThreadingHTTPServer):
    """One port of a double that takes lines or spans and finds them again: `kept` may be shared by several."""

    def __init__(self, address: str, port: int, request: type[_Request], kept: list[dict[str, Any]]) -> None:
        super().__init__((address, port), request)
        self.kept = kept


class _Request(BaseHTTPRequestHandler):
    server: Store

    def _sent(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, body: Any) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if body is not None:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


class _LokiRequest(_Request):
    def do_POST(self) -> None:
        sent = self._sent()
        if self.path != "/loki/api/v1/push":
            self._answer(404, None)
            return
        self.server.kept += sent["streams"]
        self._answer(204, None)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path != "/loki/api/v1/query_range":
            self._answer(404, None)
            return
        wanted = parse_qs(url.query)["query"][0].split('"')[-2]
        found = [stream for stream in self.server.kept if any(wanted in line for _, line in stream["values"])]
        self._answer(200, {"status": "success", "data": {"resultType": "streams", "result": found}})


class _JaegerRequest(_Request):
    def do_POST(self) -> None:
        sent = self._sent()
        if self.path != "/v1/traces":
            self._answer(404, None)
            return
        scopes = [scope for resource in sent["resourceSpans"] for scope in resource["scopeSpans"]]
        self.server.kept += [span for scope in scopes for span in scope["spans"]]
        self._answer(200, {"partialSuccess": {}})

    def do_GET(self) -> None:
        wanted = urlsplit(self.path).path.removeprefix("/api/traces/")
        spans = [
            {"traceID": span["traceId"], "spanID": span["spanId"], "operationName": span["name"]}
            for span in self.server.kept
            if span["traceId"] == wanted
        ]
        if spans:
            self._answer(200, {"data": [{"traceID": wanted, "spans": spans, "processes": {}}]})
        else:
            self._answer(404, {"data": None, "errors": [{"code": 404, "msg": "trace not found"}]})


def stores(address: str) -> list[Store]:
    """Return a Loki, and a Jaeger with its two ports, that listen at `address`."""
    spans: list[dict[str, Any]] = []
    return [
        Store(address, LOKI_PORT, _LokiRequest, []),
        *(Store(address, port, _JaegerRequest, spans) for port in JAEGER_PORTS),
    ]


@dataclass
class Node:
    """A node on which every pod is ready at once, as far as the API server is told.

    Parameters:
        plane: the control plane.
    """

    plane: ControlPlane
    trouble: list[BaseException] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._address = own_address()
        self._stores = stores(self._address)
        self._beaten = 0.0
        self._over = threading.Event()
        self.plane.create(
            "/api/v1/nodes",
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME, "labels": {"kubernetes.io/os": "linux"}}},
        )
        self._threads = [
            threading.Thread(target=self._run, daemon=True),
            *(threading.Thread(target=store.serve_forever, daemon=True) for store in self._stores),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for store in self._stores:
            store.shutdown()
            store.server_close()
        for thread in self._threads:
            thread.join(30)

    def _run(self) -> None:
        while not self._over.wait(0.3):
            try:
                self._beat()
                for pod in self.plane.get("/api/v1/pods")["items"]:
                    self._look_at(pod)
                self._operate()
            except TimeoutError:  # a kubelet asks again
                continue
            except Exception as error:  # noqa: BLE001  # a thread's end is silent; the test tells it
                self.trouble.append(error)
                return

    def _beat(self) -> None:
        if time.monotonic() - self._beaten < 10:
            return
        self._beaten = time.monotonic()
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now}
        status = {"conditions": [ready], "addresses": [{"type": "InternalIP", "address": self._address}]}
        self.plane.patch(f"/api/v1/nodes/{NAME}/status", {"status": status}, manager="kubelet")

    def _look_at(self, pod: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if metadata.get("deletionTimestamp"):
            self.plane.request("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})
            return
        if not pod["spec"].get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NAME}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": metadata["name"]}, "target": target}
            self.plane.request("POST", f"{path}/binding", binding)
        elif pod["status"].get("phase") != "Running":
            ready = [{"type": kind, "status": "True"} for kind in ("Initialized", "ContainersReady", "Ready")]
            status = {"phase": "Running", "conditions": ready, "podIP": self._address}
            status["podIPs"] = [{"ip": self._address}]
            body = {"status": status}
            self.plane.request("PATCH", f"{path}/status", body, content_type="application/merge-patch+json")

    def _operate(self) -> None:
        for kind in OPERATED:
            base = f"/apis/monitoring.coreos.com/v1/{kind}"
            # Before its CRD is there nobody knows of the kind.
            if self.plane.request("GET", base, plain=True).status != 200:
                continue
            for made in self.plane.get(base)["items"]:
                if made.get("status"):
                    continue
                metadata = made["metadata"]
                condition = {"type": "Available", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
                counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), 1)
                status = {**counts, "unavailableReplicas": 0, "paused": False, "conditions": [condition]}
                path = f"/apis/monitoring.coreos.com/v1/namespaces/{metadata['namespace']}/{kind}/{metadata['name']}"
                self.plane.patch(f"{path}/status", {"status": status}, manager="operator")
