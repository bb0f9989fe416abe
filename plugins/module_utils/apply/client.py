"""The API server over one pool of connections: requests, discovery, watches."""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

from .errors import ApiError, ApplyError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

try:
    import kubernetes
    import urllib3
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import (
        _create_auth_spec,
        _create_configuration,
        _create_headers,
    )
except ImportError:  # the module says so
    pass

T = TypeVar("T")
R = TypeVar("R")

_DISCOVERY = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
# How long a request is tried again, in seconds, while the server says that it is busy or a webhook is starting.
_PATIENCE = 30.0
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Resource:
    """Where the objects of one kind live."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str]
    builtin: bool = True

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of one object, or of all objects (of one namespace)."""
        parts = ["api", self.version] if not self.group else ["apis", self.group, self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/" + "/".join(quote(part, safe=":") for part in parts)


class Client:
    """One API server.

    Parameters:
        module: AnsibleK8SModule with the connection options of kubernetes.core.
        concurrency: how many requests may be under way at once.
        persistent: whether to try again when the connection breaks once it had worked.
    """

    def __init__(self, module: Any, concurrency: int, persistent: bool = True) -> None:
        try:
            # Not get_api_client: it makes a client of its own, which asks the server for what we ask it again.
            configuration = _create_configuration(_create_auth_spec(module._module))
            self._headers = _create_headers(module._module)
        except (kubernetes.config.ConfigException, FileNotFoundError) as error:
            raise _no_configuration(module, error) from error
        except Exception as error:
            raise ApplyError(f"cannot use the kubeconfig: {error}") from error
        # Room for the watches and the look at pods beside the workers.
        configuration.connection_pool_maxsize = concurrency + 16
        api = kubernetes.client.ApiClient(configuration)
        self._api = api
        self._pool = api.rest_client.pool_manager
        self._persistent = persistent
        self._seen = False
        self.warnings: set[str] = set()
        self._executor = ThreadPoolExecutor(concurrency, thread_name_prefix="apply")
        self.host = str(configuration.host).rstrip("/")

    def each(self, function: Callable[[T], R], values: Iterable[T]) -> list[R]:
        """Return ``function`` of each value, concurrently, in the order of the values; raise the first error."""
        return list(self._executor.map(function, values))

    def _send(self, method: str, path: str, query: dict[str, Any], headers: dict[str, str], **kwargs: Any) -> Any:
        url = f"{self.host}{path}" + (f"?{urlencode(query)}" if query else "")
        all_headers = urllib3.HTTPHeaderDict({"User-Agent": "titanium", "Accept": "application/json", **headers})
        for name, value in self._headers.items():
            for entry in value if isinstance(value, list) else [value]:
                all_headers.add(name, entry)
        for setting in self._api.configuration.auth_settings().values():
            if setting and setting["in"] == "header":
                all_headers[setting["key"]] = setting["value"]
        return self._pool.request(method, url, headers=all_headers, retries=False, preload_content=False, **kwargs)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        """Return the decoded answer to one request; tries again while the server is busy.

        Raises:
            ApiError: the server refused.
            Unreachable: there is no server.
        """
        headers = dict(headers or {})
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        patience = time.monotonic() + _PATIENCE
        delay = 0.2
        while True:
            try:
                response = self._send(
                    method, path, query or {}, headers, body=data, timeout=urllib3.Timeout(connect=10, read=_TIMEOUT)
                )
                content = response.read()
                response.release_conn()
            except urllib3.exceptions.HTTPError as error:
                if not self._seen or not self._persistent or time.monotonic() > patience or _is_tls(error):
                    raise self._unreachable(error) from error
                pause = delay
            else:
                self._seen = True
                self.warnings.update(
                    re.findall(r'299 \S+ "((?:[^"\\]|\\.)*)"', ",".join(response.headers.getlist("Warning")))
                )
                if 200 <= response.status < 300:
                    return json.loads(content) if content else {}
                failure = ApiError(response.status, _status(content))
                if not _is_passing(failure) or time.monotonic() > patience:
                    raise failure
                pause = max(delay, min(float(response.headers.get("Retry-After") or 0), 5.0))
            time.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 - to spread requests, not to hide anything
            delay = min(delay * 2, 3.0)

    def _unreachable(self, error: Exception) -> ApplyError:
        reason = _reason(error)
        if _is_tls(error):
            return ApplyError(
                f"the certificate of the API server {self.host} is not trusted: {reason}\nPoint kubeconfig or ca_cert at this cluster's authority."
            )
        return Unreachable(
            f"cannot reach the API server {self.host}: {reason}\n"
            "Is the cluster running, and is this the kubeconfig you mean (kubeconfig, K8S_AUTH_KUBECONFIG)?"
        )

    def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        """Return an object, or None if there is none."""
        try:
            answer: dict[str, Any] = self.request("GET", resource.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return answer

    def list(
        self,
        resource: Resource,
        *,
        namespace: str = "",
        selector: str = "",
        fields: str = "",
        metadata_only: bool = False,
        limit: int = 0,
    ) -> tuple[list[dict[str, Any]], str]:
        """Return objects and the resourceVersion of the list."""
        query: dict[str, Any] = {}
        if selector:
            query["labelSelector"] = selector
        if fields:
            query["fieldSelector"] = fields
        if limit:
            query["limit"] = limit
        headers = {"Accept": f"{_METADATA_ONLY},application/json"} if metadata_only else {}
        answer = self.request("GET", resource.path(namespace), query=query, headers=headers)
        items = answer.get("items") or []
        for item in items:
            # Objects in a list come without these two, and metadata under a kind of its own.
            item["apiVersion"] = f"{resource.group}/{resource.version}" if resource.group else resource.version
            item["kind"] = resource.kind
        return items, str(answer["metadata"].get("resourceVersion", ""))

    def apply(
        self, resource: Resource, body: dict[str, Any], *, manager: str, force: bool = False, dry_run: bool = False
    ) -> dict[str, Any]:
        """Apply an object on the server's side and return what it is then."""
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        metadata = body["metadata"]
        answer: dict[str, Any] = self.request(
            "PATCH",
            resource.path(metadata.get("namespace", ""), metadata["name"]),
            body=body,
            query=query,
            # JSON is YAML, and this type is understood by every server that knows server-side apply.
            headers={"Content-Type": "application/apply-patch+yaml"},
        )
        return answer

    def delete(self, resource: Resource, namespace: str, name: str, *, uid: str = "", dry_run: bool = False) -> bool:
        """Delete an object and, before it, what it owns; return False if there was none (any more)."""
        body: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
        if uid:
            body["preconditions"] = {"uid": uid}
        if dry_run:
            body["dryRun"] = ["All"]
        try:
            self.request("DELETE", resource.path(namespace, name), body=body)
        except ApiError as error:
            if error.status == 404 or (error.status == 409 and uid and "precondition" in str(error).lower()):
                return False
            raise
        return True

    def watch(
        self, resource: Resource, *, namespace: str, selector: str, fields: str, version: str, seconds: float
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield events (``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK``, ``ERROR``) for up to ``seconds``."""
        query: dict[str, Any] = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": max(1, int(seconds)),
            "allowWatchBookmarks": "true",
        }
        if selector:
            query["labelSelector"] = selector
        if fields:
            query["fieldSelector"] = fields
        try:
            response = self._send(
                "GET", resource.path(namespace), query, {}, timeout=urllib3.Timeout(connect=10, read=seconds + 5)
            )
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error
        try:
            if response.status != 200:
                raise ApiError(response.status, _status(response.read()))
            rest = b""
            for chunk in response.stream(amt=None, decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        event = json.loads(line)
                        yield event["type"], event["object"]
        except urllib3.exceptions.HTTPError:
            return  # the connection broke: whoever watches looks again
        finally:
            response.close()

    def text(self, path: str, query: dict[str, Any]) -> str:
        """Return an answer that is not JSON, such as a container's log."""
        response = self._send("GET", path, query, {"Accept": "*/*"}, timeout=urllib3.Timeout(connect=10, read=_TIMEOUT))
        content: bytes = response.read()
        response.release_conn()
        if response.status != 200:
            raise ApiError(response.status, _status(content))
        return content.decode("utf-8", "replace")

    def discover(self) -> Discovery:
        """Return every kind the server knows, in two requests."""
        return Discovery(self.request("GET", path, headers={"Accept": _DISCOVERY}) for path in ("/api", "/apis"))


class Discovery:
    """The kinds a server knows.

    Parameters:
        documents: the server's aggregated discovery documents.
    """

    def __init__(self, documents: Iterable[dict[str, Any]] = ()) -> None:
        self._lock = threading.Lock()
        self._resources: dict[tuple[str, str, str], Resource] = {}
        self._preferred: dict[tuple[str, str], Resource] = {}
        self.stale_groups: set[str] = set()
        for document in documents:
            if document.get("kind") != "APIGroupDiscoveryList":
                raise ApplyError(
                    "the API server does not know aggregated discovery: Kubernetes 1.27 or newer is needed"
                )
            for group in document.get("items") or []:
                name = (group.get("metadata") or {}).get("name", "")
                for version in group.get("versions") or []:
                    if version.get("freshness") == "Stale":
                        self.stale_groups.add(name)
                    for entry in version.get("resources") or []:
                        response_kind = entry.get("responseKind") or {}
                        self.add(
                            Resource(
                                name,
                                version["version"],
                                response_kind.get("kind", ""),
                                entry["resource"],
                                entry.get("scope") == "Namespaced",
                                frozenset(entry.get("verbs") or ()),
                                builtin="." not in name or name.endswith(".k8s.io"),
                            )
                        )

    def add(self, resource: Resource) -> None:
        """Learn a kind; the first version of a group is the preferred one."""
        with self._lock:
            self._resources.setdefault((resource.group, resource.version, resource.kind), resource)
            self._preferred.setdefault((resource.group, resource.kind), resource)

    def add_crd(self, crd: dict[str, Any]) -> None:
        """Learn the kinds that a CustomResourceDefinition makes."""
        spec = crd["spec"]
        verbs = frozenset({"create", "delete", "get", "list", "patch", "update", "watch"})
        for version in spec.get("versions") or []:
            if version.get("served"):
                names = spec["names"]
                self.add(
                    Resource(
                        spec["group"],
                        version["name"],
                        names["kind"],
                        names["plural"],
                        spec.get("scope") != "Cluster",
                        verbs,
                        builtin=False,
                    )
                )

    def find(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource of exactly this version, or None."""
        group, _, version = api_version.rpartition("/")
        return self._resources.get((group, version, kind))

    def preferred(self, group: str, kind: str) -> Resource | None:
        """Return the resource of a group and kind in the server's preferred version, or None."""
        return self._preferred.get((group, kind))

    def versions(self, group: str, kind: str) -> list[str]:
        """Return the versions of a group in which the kind is known."""
        return [version for g, version, k in self._resources if (g, k) == (group, kind)]

    def listable(self) -> list[Resource]:
        """Return each kind once that can be listed and deleted."""
        return [resource for resource in self._preferred.values() if {"list", "delete"} <= resource.verbs]


def _status(content: bytes) -> dict[str, Any]:
    try:
        status = json.loads(content)
    except ValueError:
        status = None
    if isinstance(status, dict):
        return status
    return {"message": content.decode("utf-8", "replace").strip()[:500]}


def _is_passing(error: ApiError) -> bool:
    """Whether the same request may succeed a moment later."""
    if error.status in {429, 502, 503, 504} or error.reason in {"ServerTimeout", "TooManyRequests"}:
        return True
    text = str(error)
    return (
        error.status == 500
        and "failed calling webhook" in text
        and any(
            sign in text
            for sign in (
                "connection refused",
                "no endpoints available",
                "i/o timeout",
                "EOF",
                "context deadline exceeded",
            )
        )
    )


def _reason(error: BaseException) -> str:
    """Return the innermost cause in a few words."""
    while True:
        inner = error.__cause__ or (error.__context__ if not error.__suppress_context__ else None)
        if inner is None or not str(inner):
            break
        error = inner
    text = str(getattr(error, "strerror", None) or error)
    return text.rsplit(": ", 1)[-1] if "object at 0x" in text else text


def _is_tls(error: BaseException) -> bool:
    return isinstance(error, urllib3.exceptions.SSLError) or isinstance(error.__cause__, urllib3.exceptions.SSLError)


def _no_configuration(module: Any, error: Exception) -> ApplyError:
    path = module.params.get("kubeconfig") or os.environ.get("K8S_AUTH_KUBECONFIG") or os.environ.get("KUBECONFIG")
    if isinstance(path, str) and any(Path(part).expanduser().exists() for part in path.split(os.pathsep)):
        return ApplyError(
            f"cannot use the kubeconfig {path}: {str(error).removeprefix('Could not create API client: ')}"
        )
    where = (
        f"the kubeconfig {path} does not exist"
        if isinstance(path, str)
        else "no kubeconfig was given and there is no ~/.kube/config"
    )
    return Unreachable(
        f"{where}\nSet kubeconfig or K8S_AUTH_KUBECONFIG to the cluster's kubeconfig; does the cluster exist yet?"
    )
