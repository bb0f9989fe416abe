"""What it runs on: nodes, workloads, mesh, delivery, logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.dashboards.kit import graph, lines, log_graph, number, page

if TYPE_CHECKING:
    from grafana_foundation_sdk.builders.dashboard import Dashboard

NO_MESH_TELEMETRY = "proxies without Istio's own filters (the inventory local) do not count by source and destination."
NO_ARGOCD = "Argo CD does not run here."
NO_SYNC = "Argo CD has synced nothing since it was started, or does not run here."
OPEN = (None, "green"), (1.0, "red")


def kubernetes() -> Dashboard:
    """Nodes and what runs on them."""
    cadvisor = 'job="cadvisor", container!=""'
    disk = 'job="node-exporter", fstype!~"tmpfs|ramfs"'
    return page(
        "titanium-kubernetes",
        "Kubernetes: nodes and workloads",
        "How full the machines are, and of what.",
        {
            "Nodes": [
                graph(
                    "Processors busy",
                    "percentunit",
                    (
                        '1 - avg by (instance) (rate(node_cpu_seconds_total{job="node-exporter", mode="idle"}[$__rate_interval]))',
                        "{{instance}}",
                    ),
                    width=6,
                ),
                graph("Load", "short", ('node_load1{job="node-exporter"}', "{{instance}}"), width=6),
                graph(
                    "Memory used",
                    "percentunit",
                    (
                        '1 - node_memory_MemAvailable_bytes{job="node-exporter"} / node_memory_MemTotal_bytes{job="node-exporter"}',
                        "{{instance}}",
                    ),
                    width=6,
                ),
                graph(
                    "Disks used",
                    "percentunit",
                    (
                        f"1 - node_filesystem_avail_bytes{{{disk}}} / node_filesystem_size_bytes{{{disk}}}",
                        "{{instance}} {{mountpoint}}",
                    ),
                    width=6,
                ),
                graph(
                    "Disks busy",
                    "percentunit",
                    (
                        'rate(node_disk_io_time_seconds_total{job="node-exporter"}[$__rate_interval])',
                        "{{instance}} {{device}}",
                    ),
                    may_be_empty="a machine whose disks the kernel does not count for it.",
                ),
                graph(
                    "Network",
                    "Bps",
                    (
                        'sum by (instance) (rate(node_network_receive_bytes_total{job="node-exporter", device!="lo"}[$__rate_interval]))',
                        "in {{instance}}",
                    ),
                    (
                        'sum by (instance) (rate(node_network_transmit_bytes_total{job="node-exporter", device!="lo"}[$__rate_interval]))',
                        "out {{instance}}",
                    ),
                ),
            ],
            "Workloads": [
                graph(
                    "Processors in use by namespace",
                    "short",
                    (
                        f"sum by (namespace) (rate(container_cpu_usage_seconds_total{{{cadvisor}}}[$__rate_interval]))",
                        "{{namespace}}",
                    ),
                    stacked=True,
                ),
                graph(
                    "Memory by namespace",
                    "bytes",
                    (f"sum by (namespace) (container_memory_working_set_bytes{{{cadvisor}}})", "{{namespace}}"),
                    stacked=True,
                ),
                graph(
                    "Processors in use, the ten busiest containers",
                    "short",
                    (
                        f"topk(10, sum by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{{{cadvisor}}}[$__rate_interval])))",
                        "{{namespace}}/{{pod}} {{container}}",
                    ),
                ),
                graph(
                    "Memory, the ten largest containers",
                    "bytes",
                    (
                        f"topk(10, sum by (namespace, pod, container) (container_memory_working_set_bytes{{{cadvisor}}}))",
                        "{{namespace}}/{{pod}} {{container}}",
                    ),
                ),
                graph(
                    "Containers started in the last hour",
                    "short",
                    (
                        f"count by (namespace) (max by (namespace, pod, container) (time() - container_start_time_seconds{{{cadvisor}}}) < 3600)",
                        "{{namespace}}",
                    ),
                    may_be_empty="nothing was started within an hour.",
                ),
                graph(
                    "Volumes used",
                    "percentunit",
                    (
                        '1 - kubelet_volume_stats_available_bytes{job="kubelet"} / kubelet_volume_stats_capacity_bytes{job="kubelet"}',
                        "{{namespace}}/{{persistentvolumeclaim}}",
                    ),
                    may_be_empty="volumes of a kind that the kubelet does not measure (folders of the node).",
                ),
            ],
            "Control plane": [
                graph(
                    "API server: requests by answer",
                    "reqps",
                    ('sum by (code) (rate(apiserver_request_total{job="apiserver"}[$__rate_interval]))', "{{code}}"),
                    width=8,
                ),
                graph(
                    "API server: P99",
                    "s",
                    (
                        "histogram_quantile(0.99, sum by (le, verb) (rate(apiserver_request_duration_seconds_bucket"
                        '{job="apiserver", verb!~"WATCH|CONNECT"}[$__rate_interval])))',
                        "{{verb}}",
                    ),
                    width=8,
                ),
                graph(
                    "etcd: P99 of a write to disk",
                    "s",
                    (
                        'histogram_quantile(0.99, sum by (le) (rate(etcd_disk_wal_fsync_duration_seconds_bucket{job="etcd"}[$__rate_interval])))',
                        "fsync",
                    ),
                    width=8,
                    may_be_empty="the provider keeps etcd to itself.",
                ),
                graph(
                    "CoreDNS: answers",
                    "reqps",
                    (
                        'sum by (rcode) (rate(coredns_dns_responses_total{job="coredns"}[$__rate_interval]))',
                        "{{rcode}}",
                    ),
                ),
                graph(
                    "Pods that wait",
                    "short",
                    ('sum by (queue) (scheduler_pending_pods{job="kube-scheduler"})', "{{queue}}"),
                    may_be_empty="the provider keeps the scheduler to itself.",
                ),
            ],
            "Targets": [
                graph("Up, by job", "percentunit", ("avg by (job) (up)", "{{job}}"), width=24),
            ],
        },
    )


def mesh() -> Dashboard:
    """The mesh, as its proxies and istiod see it."""
    gateway = 'job="envoy", pod=~".*gateway.*"'
    return page(
        "titanium-mesh",
        "Service Mesh",
        "What the proxies do, and whether istiod keeps up.",
        {
            "Proxies": [
                number("Proxies", "short", 'count(envoy_server_live{job="envoy"})'),
                number("Not live", "short", 'count(envoy_server_live{job="envoy"} == 0) or vector(0)', limits=OPEN),
                number("Certificates: shortest", "s", 'min(istio_agent_cert_expiry_seconds{resource_name="default"})'),
                number(
                    "Certificate of the edge",
                    "s",
                    "min(envoy_listener_ssl_certificate_kubernetes___titanium_edge_expiration_unix_time_seconds) - time()",
                    may_be_empty="the edge has no HTTPS.",
                ),
                number("Connected to istiod", "short", 'sum(pilot_xds{job="istiod"})'),
                number(
                    "Configurations refused in an hour",
                    "short",
                    'sum(increase(pilot_total_xds_rejects{job="istiod"}[1h])) or vector(0)',
                    limits=OPEN,
                ),
                graph(
                    "Memory of proxies",
                    "bytes",
                    ('sum by (pod) (envoy_server_memory_allocated{job="envoy"})', "{{pod}}"),
                ),
                graph(
                    "Connections of proxies",
                    "short",
                    ('sum by (pod) (envoy_server_total_connections{job="envoy"})', "{{pod}}"),
                ),
            ],
            "Traffic": [
                graph(
                    "Edge: answers",
                    "reqps",
                    (
                        f"sum by (response_code_class) (rate(envoy_http_downstream_rq_xx{{{gateway}}}[$__rate_interval]))",
                        "{{response_code_class}}",
                    ),
                    may_be_empty="the gateway's proxy is not told to count its listeners' answers.",
                ),
                graph(
                    "Upstreams: answers",
                    "reqps",
                    (
                        'sum by (response_code_class) (rate(envoy_cluster_upstream_rq_xx{job="envoy"}[$__rate_interval]))',
                        "{{response_code_class}}",
                    ),
                    may_be_empty="proxies count only what their annotations name.",
                ),
                graph(
                    "Requests by source and destination",
                    "reqps",
                    (
                        "sum by (source_workload, destination_workload) (rate(istio_requests_total[$__rate_interval]))",
                        "{{source_workload}} > {{destination_workload}}",
                    ),
                    may_be_empty=NO_MESH_TELEMETRY,
                ),
                graph(
                    "P95 by destination",
                    "ms",
                    (
                        "histogram_quantile(0.95, sum by (le, destination_workload) "
                        "(rate(istio_request_duration_milliseconds_bucket[$__rate_interval])))",
                        "{{destination_workload}}",
                    ),
                    may_be_empty=NO_MESH_TELEMETRY,
                ),
            ],
            "istiod": [
                graph(
                    "Pushes",
                    "ops",
                    ('sum by (type) (rate(pilot_xds_pushes{job="istiod"}[$__rate_interval]))', "{{type}}"),
                    width=8,
                ),
                graph(
                    "P99 until proxies have a change",
                    "s",
                    (
                        'histogram_quantile(0.99, sum by (le) (rate(pilot_proxy_convergence_time_bucket{job="istiod"}[$__rate_interval])))',
                        "P99",
                    ),
                    width=8,
                    may_be_empty="nothing changed.",
                ),
                graph(
                    "Processors in use",
                    "short",
                    ('rate(process_cpu_seconds_total{job="istiod"}[$__rate_interval])', "{{pod}}"),
                    width=8,
                ),
            ],
        },
    )


def gitops() -> Dashboard:
    """Argo CD."""
    return page(
        "titanium-gitops",
        "GitOps",
        "What git says, and whether it runs.",
        {
            "Applications": [
                number("Applications", "short", "count(argocd_app_info)", may_be_empty=NO_ARGOCD),
                number(
                    "Out of sync", "short", 'count(argocd_app_info{sync_status!="Synced"}) or vector(0)', limits=OPEN
                ),
                number(
                    "Not healthy", "short", 'count(argocd_app_info{health_status!="Healthy"}) or vector(0)', limits=OPEN
                ),
                graph(
                    "By state",
                    "short",
                    ("sum by (sync_status, health_status) (argocd_app_info)", "{{sync_status}} {{health_status}}"),
                    may_be_empty=NO_ARGOCD,
                ),
                graph(
                    "Syncs by result",
                    "ops",
                    ("sum by (name, phase) (increase(argocd_app_sync_total[$__rate_interval]))", "{{name}} {{phase}}"),
                    may_be_empty=NO_SYNC,
                ),
            ],
            "Work": [
                graph(
                    "P95 of a comparison",
                    "s",
                    (
                        "histogram_quantile(0.95, sum by (le) (rate(argocd_app_reconcile_bucket[$__rate_interval])))",
                        "P95",
                    ),
                    may_be_empty=NO_ARGOCD,
                ),
                graph(
                    "Requests to git",
                    "ops",
                    ("sum by (request_type) (rate(argocd_git_request_total[$__rate_interval]))", "{{request_type}}"),
                    may_be_empty=NO_ARGOCD,
                ),
            ],
        },
    )


def logs() -> Dashboard:
    """Lines, and whether they arrive."""
    everything = '{namespace=~".+"}'
    name = "otelcol_{}_log_records(_total)?"
    return page(
        "titanium-logs",
        "Logs",
        "Lines of all containers, and whether they arrive.",
        {
            "How much": [
                log_graph(
                    "Lines by namespace",
                    "short",
                    (f"sum by (namespace) (count_over_time({everything}[$__auto]))", "{{namespace}}"),
                ),
                log_graph(
                    "Errors by service",
                    "short",
                    (
                        'sum by (service) (count_over_time({namespace=~".+"} | level=~"error|critical" [$__auto]))',
                        "{{service}}",
                    ),
                    may_be_empty="nothing logged an error.",
                ),
            ],
            "Do they arrive": [
                graph(
                    "Read and delivered",
                    "short",
                    (
                        f'sum(rate({{__name__=~"{name.format("receiver_accepted")}", job="otel-collector"}}[$__rate_interval]))',
                        "read",
                    ),
                    (
                        f'sum(rate({{__name__=~"{name.format("exporter_sent")}", job="otel-collector"}}[$__rate_interval]))',
                        "delivered",
                    ),
                    width=8,
                ),
                graph(
                    "Queue of the collectors",
                    "short",
                    ('max by (exporter) (otelcol_exporter_queue_size{job="otel-collector"})', "{{exporter}}"),
                    width=8,
                    may_be_empty="an exporter without a queue.",
                ),
                graph(
                    "Loki: requests by answer",
                    "reqps",
                    (
                        'sum by (route, status_code) (rate(loki_request_duration_seconds_count{job="loki"}[$__rate_interval]))',
                        "{{route}} {{status_code}}",
                    ),
                    width=8,
                ),
            ],
            "Lines": [
                lines(
                    "Requests that failed",
                    '{namespace="titanium-prod"} | json | status>=500',
                    may_be_empty="no request failed.",
                ),
                lines("Errors", '{namespace=~".+"} | level=~"error|critical"', may_be_empty="nothing logged an error."),
                lines("All lines of the application", '{namespace="titanium-prod"}'),
            ],
        },
    )
