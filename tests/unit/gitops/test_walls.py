"""Who may talk to whom, computed from the rendered manifests: by NetworkPolicy, and by the mesh's permissions."""

from __future__ import annotations

from typing import Any

from .test_manifests import Manifest, of_kind, render

OVERLAY = "local"
NAMESPACE = "titanium-prod"
EDGE = "istio-system/istio-ingressgateway-service-account"
SCRAPER = "monitoring/prometheus"
# The whole table: caller, callee, port.
EXPECTED = {
    (EDGE, "api-gateway", 8080),
    ("api-gateway", "auth-service", 8002),
    ("api-gateway", "user-service", 8001),
    ("api-gateway", "blog-service", 8005),
    ("auth-service", "user-service", 8001),
    ("user-service", "auth-service", 8002),
    ("blog-service", "auth-service", 8002),
    *((caller, "postgresql", 5432) for caller in ("migrations", "auth-service", "user-service", "blog-service")),
    *((caller, "redis", 6379) for caller in ("api-gateway", "auth-service", "user-service", "blog-service")),
    # Who measures, and the exporters, which the role prometheus makes.
    (SCRAPER, "api-gateway", 8000),
    (SCRAPER, "auth-service", 8002),
    (SCRAPER, "user-service", 8001),
    (SCRAPER, "blog-service", 8005),
    (SCRAPER, "metrics-exporters", 9187),
    (SCRAPER, "metrics-exporters", 9121),
    ("metrics-exporters", "postgresql", 5432),
    ("metrics-exporters", "redis", 6379),
}
PODS = (
    "api-gateway",
    "auth-service",
    "user-service",
    "blog-service",
    "migrations",
    "postgresql",
    "redis",
    "metrics-exporters",
)
PORTS = (5432, 6379, 8000, 8001, 8002, 8005, 8080, 9121, 9187)
OUTSIDERS = {EDGE: ("istio-system", {"istio": "ingressgateway"}), SCRAPER: ("monitoring", {"app": "prometheus"})}


def selects(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """Tell whether a label selector fits; None selects nothing here, an empty one all."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for expression in selector.get("matchExpressions", []):
        assert expression["operator"] == "In", expression
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


def fits(peer: dict[str, Any], namespace: str, labels: dict[str, str]) -> bool:
    """Tell whether a policy's peer is a pod of that namespace with those labels."""
    assert not peer.keys() - {"namespaceSelector", "podSelector"}, peer
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": namespace}):
            return False
    elif namespace != NAMESPACE:
        return False
    return selects(peer.get("podSelector", {}), labels)


def permits(direction: str, own: dict[str, str], namespace: str, other: dict[str, str], port: int) -> bool:
    """Tell whether the NetworkPolicies let a pod of the application connect to, or be reached by, another one."""
    side = "from" if direction == "ingress" else "to"
    for policy in of_kind(OVERLAY, "NetworkPolicy").values():
        spec = policy["spec"]
        if direction.capitalize() not in spec["policyTypes"] or not selects(spec["podSelector"], own):
            continue
        for rule in spec.get(direction, []):
            if any(fits(peer, namespace, other) for peer in rule[side]) and any(
                p["port"] == port for p in rule["ports"]
            ):
                return True
    return False


def test_network_lets_through_what_the_table_says_and_nothing_else() -> None:
    allowed = {
        (caller, callee, port)
        for caller in PODS
        for callee in PODS
        for port in PORTS
        if permits("egress", {"app": caller}, NAMESPACE, {"app": callee}, port)
        and permits("ingress", {"app": callee}, NAMESPACE, {"app": caller}, port)
    }
    allowed |= {
        (caller, callee, port)
        for caller, (namespace, labels) in OUTSIDERS.items()
        for callee in PODS
        for port in PORTS
        if permits("ingress", {"app": callee}, namespace, labels, port)
    }
    assert allowed == EXPECTED


def test_strangers_are_let_in_nowhere() -> None:
    for callee in PODS:
        for port in PORTS:
            assert not permits("ingress", {"app": callee}, "default", {"app": "api-gateway"}, port), (callee, port)
            assert not permits("ingress", {"app": callee}, NAMESPACE, {"app": "stranger"}, port), (callee, port)
            assert not permits("egress", {"app": callee}, "default", {"app": "anything"}, port), (callee, port)


def test_everything_is_refused_that_is_not_allowed() -> None:
    refusal = of_kind(OVERLAY, "NetworkPolicy")["deny-by-default"]["spec"]
    assert refusal == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert of_kind(OVERLAY, "AuthorizationPolicy")["deny-by-default"]["spec"] == {}
    assert of_kind(OVERLAY, "PeerAuthentication")["default"]["spec"] == {"mtls": {"mode": "STRICT"}}


def _callers(policy: Manifest) -> set[tuple[str, str, int]]:
    callee = policy["spec"]["selector"]["matchLabels"]["app"]
    found = set()
    for rule in policy["spec"]["rules"]:
        for source in rule["from"]:
            for principal in source["source"]["principals"]:
                _, _, namespace, _, account = principal.split("/")
                caller = account if namespace == NAMESPACE else f"{namespace}/{account}"
                for target in rule["to"]:
                    known = {"auth-service": 8002, "user-service": 8001, "blog-service": 8005}.get(callee)
                    ports = [known] if known else map(int, target["operation"]["ports"])
                    found |= {(caller, callee, port) for port in ports}
    return found


def test_permissions_name_the_same_callers_as_the_network() -> None:
    policies = [p for p in of_kind(OVERLAY, "AuthorizationPolicy").values() if p["spec"]]
    assert set().union(*map(_callers, policies)) == EXPECTED


def test_permissions_name_accounts_that_exist() -> None:
    accounts = {m["metadata"]["name"] for m in render(f"gitops/overlays/{OVERLAY}") if m["kind"] == "ServiceAccount"}
    named = {caller for caller, _, _ in EXPECTED if "/" not in caller} - {"metrics-exporters"}
    assert named <= accounts


def test_who_measures_reads_figures_and_nothing_else() -> None:
    for name, policy in of_kind(OVERLAY, "AuthorizationPolicy").items():
        for rule in policy["spec"].get("rules", []):
            if f"cluster.local/ns/{SCRAPER.replace('/', '/sa/')}" not in rule["from"][0]["source"]["principals"]:
                continue
            assert len(rule["from"]) == 1, name
            assert [(t["operation"]["methods"], t["operation"]["paths"]) for t in rule["to"]] == [
                (["GET"], ["/metrics"])
            ]


def test_http_permissions_name_methods_and_paths() -> None:
    for name in ("auth-service", "user-service", "blog-service"):
        for rule in of_kind(OVERLAY, "AuthorizationPolicy")[name]["spec"]["rules"]:
            for target in rule["to"]:
                assert target["operation"].keys() >= {"methods", "paths"}, (name, target)
                assert "/*" not in target["operation"]["paths"], (name, target)


def _routes() -> list[tuple[str, dict[str, Any]]]:
    return [
        (n, route) for n, service in of_kind(OVERLAY, "VirtualService").items() for route in service["spec"]["http"]
    ]


def test_every_route_has_a_deadline_and_repeats_only_what_it_may() -> None:
    for name, route in _routes():
        if "directResponse" in route:
            continue
        where = f"{name}/{route['name']}"
        assert route["timeout"], where
        conditions = set(route["retries"]["retryOn"].split(","))
        # Nothing of the request had been sent when these happen.
        unsent = {"connect-failure", "refused-stream", "reset-before-request"}
        methods = {
            match.get("method", {}).get("regex") or match.get("method", {}).get("exact")
            for match in route.get("match", [{}])
        }
        if not methods <= {"GET", "GET|HEAD"}:
            assert conditions == unsent, where


def test_edge_ends_with_not_found() -> None:
    *known, last = of_kind(OVERLAY, "VirtualService")["edge"]["spec"]["http"]
    assert "match" not in last
    assert last["directResponse"]["status"] == 404
    prefixes = [match["uri"].get("prefix", "") for route in known for match in route["match"]]
    assert not any(prefix in ("/", "/metrics", "/stats", "/docs", "/api/") for prefix in prefixes)
