"""The series with which every alert fires and falls silent again. Those of burning budgets are in test_burn.py."""

from __future__ import annotations

from tests.unit.rules.timelines import Case, Timeline, always, counter, gauge, gone, histogram, only_ill

FS = 'job="node-exporter", instance="n1", device="/dev/sda1", fstype="ext4", mountpoint="/"'
NODE = 'job="node-exporter", instance="n1"'
CONTAINER = 'job="cadvisor", namespace="titanium-prod", pod="blog-service-1", container="blog-service"'
KSM = 'job="kube-state-metrics", namespace="titanium-prod"'
SERVICES = ("api-gateway", "auth-service", "user-service", "blog-service")


def jobs(*names: str) -> Case:
    """Targets of these jobs, all of which go away."""
    return Case({f'up{{job="{name}", instance="i"}}': gone() for name in names}, alerts=len(names))


def exported(series: str) -> Case:
    """What an exporter says about what it exports: 1, then 0."""
    return Case({series: gauge(1, 0)})


def restarts() -> dict[str, Timeline | str]:
    """A container that is started anew again and again: each time another one, with a series of its own."""
    return {f'container_start_time_seconds{{{CONTAINER}, id="/kubepods/{n}"}}': only_ill(n) for n in range(4)}


# alert, by "file/alert"; a list where more than one cause must make it fire.
CASES: dict[str, list[Case]] = {
    "services/ServiceDown": [
        Case({f'up{{job="{name}", instance="i"}}': gauge(1, 0) for name in SERVICES}, alerts=4),
        jobs(*SERVICES),
        Case(
            {
                **{f'up{{job="{name}", instance="i"}}': always(1) for name in SERVICES[1:]},
                'up{job="api-gateway", instance="a"}': gauge(1, 0),
                'up{job="api-gateway", instance="b"}': always(1),
            },
            alerts=0,
        ),
    ],
    "services/DatabaseErrors": [
        Case({'database_errors_total{job="blog-service"}': counter(0, 5), 'pg_up{job="postgresql"}': always(1)}),
        # PostgresqlDown tells of it.
        Case(
            {'database_errors_total{job="blog-service"}': counter(0, 5), 'pg_up{job="postgresql"}': gauge(1, 0)},
            alerts=0,
        ),
    ],
    "services/DatabasePoolExhausted": [
        Case(
            {
                'database_pool_connections{job="blog-service", pod="b", state="idle"}': gauge(3, 0),
                'database_pool_connections{job="blog-service", pod="b", state="used"}': gauge(7, 10),
            }
        ),
        # A pool that was never used has none either.
        Case(
            {
                'database_pool_connections{job="blog-service", pod="b", state="idle"}': always(0),
                'database_pool_connections{job="blog-service", pod="b", state="used"}': always(0),
            },
            alerts=0,
        ),
    ],
    "services/RateLimitSurge": [Case({'rate_limited_total{job="api-gateway", policy="login"}': counter(1, 60)})],
    "services/RateLimitsNotEnforced": [Case({'rate_limit_errors_total{job="api-gateway"}': counter(0, 5)})],
    "postgresql/PostgresqlDown": [
        exported('pg_up{job="postgresql", instance="i"}'),
        Case({'pg_up{job="postgresql", instance="i"}': gone()}),
    ],
    "postgresql/PostgresqlConnectionsNearlyUsed": [
        Case(
            {
                'pg_stat_database_numbackends{job="postgresql", datname="titanium"}': gauge(40, 80),
                'pg_stat_database_numbackends{job="postgresql", datname="postgres"}': always(9),
                'pg_settings_max_connections{job="postgresql"}': always(100),
            }
        )
    ],
    "postgresql/PostgresqlDeadlocks": [
        Case({'pg_stat_database_deadlocks{job="postgresql", datname="titanium"}': counter(0, 1)})
    ],
    "postgresql/PostgresqlLongTransaction": [
        Case(
            {
                'pg_stat_activity_max_tx_duration{job="postgresql", datname="titanium", state="active"}': gauge(
                    2, 2000
                ),
                'pg_stat_activity_max_tx_duration{job="postgresql", datname="titanium", state="idle"}': always(9000),
            }
        )
    ],
    "postgresql/PostgresqlReplicationLag": [
        Case(
            {
                'pg_replication_lag_seconds{job="postgresql", instance="r"}': gauge(1, 300),
                'pg_replication_is_replica{job="postgresql", instance="r"}': always(1),
            }
        ),
        # A primary has a lag of nothing that means anything.
        Case(
            {
                'pg_replication_lag_seconds{job="postgresql", instance="p"}': always(300),
                'pg_replication_is_replica{job="postgresql", instance="p"}': always(0),
            },
            alerts=0,
        ),
    ],
    "redis/RedisDown": [
        exported('redis_up{job="redis", instance="i"}'),
        Case({'redis_up{job="redis", instance="i"}': gone()}),
    ],
    "redis/RedisMemoryFull": [
        Case(
            {'redis_memory_used_bytes{job="redis"}': gauge(50, 99), 'redis_memory_max_bytes{job="redis"}': always(100)}
        ),
        # No limit is none that could be reached.
        Case({'redis_memory_used_bytes{job="redis"}': always(99), 'redis_memory_max_bytes{job="redis"}': always(0)}, 0),
    ],
    "redis/RedisRejectsConnections": [Case({'redis_rejected_connections_total{job="redis"}': counter(0, 1)})],
    "node/TargetMissing": [jobs("node-exporter")],
    "node/NodeCpuSaturated": [
        Case(
            {
                f'node_cpu_seconds_total{{{NODE}, cpu="0", mode="idle"}}': counter(20, 0.3),
                f'node_cpu_seconds_total{{{NODE}, cpu="1", mode="idle"}}': counter(20, 0.3),
                f"node_load1{{{NODE}}}": gauge(1, 9),
            }
        ),
        # Busy, but nothing waits: a machine that is well used.
        Case(
            {
                f'node_cpu_seconds_total{{{NODE}, cpu="0", mode="idle"}}': counter(20, 0.3),
                f"node_load1{{{NODE}}}": gauge(0.5, 1),
            },
            alerts=0,
        ),
    ],
    "node/NodeMemoryLow": [
        Case(
            {
                f"node_memory_MemAvailable_bytes{{{NODE}}}": gauge(50, 5),
                f"node_memory_MemTotal_bytes{{{NODE}}}": always(100),
            }
        )
    ],
    "node/NodeDiskFilling": [
        Case(
            {
                # A fifth is free and shrinks by 2 % of the whole an hour.
                f"node_filesystem_avail_bytes{{{FS}}}": "90000x119 24000-20x959 90000x959",
                f"node_filesystem_size_bytes{{{FS}}}": always(100000),
            },
            minutes=(60, 480, 480),
        ),
        # As little, but it stays as it is.
        Case(
            {f"node_filesystem_avail_bytes{{{FS}}}": always(24), f"node_filesystem_size_bytes{{{FS}}}": always(100)},
            alerts=0,
            minutes=(60, 480, 480),
        ),
    ],
    "node/NodeDiskFull": [
        Case({f"node_filesystem_avail_bytes{{{FS}}}": gauge(50, 4), f"node_filesystem_size_bytes{{{FS}}}": always(100)})
    ],
    "node/NodeInodesLow": [
        Case({f"node_filesystem_files_free{{{FS}}}": gauge(50, 4), f"node_filesystem_files{{{FS}}}": always(100)})
    ],
    "node/NodeDiskSaturated": [
        Case({f'node_disk_io_time_seconds_total{{{NODE}, device="sda"}}': counter(5, 30)}),
    ],
    "node/NodeClockSkew": [
        Case(
            {f"node_timex_offset_seconds{{{NODE}}}": gauge(0.01, -2), f"node_timex_sync_status{{{NODE}}}": gauge(1, 0)}
        )
    ],
    "kubernetes/TargetMissing": [jobs("apiserver", "kubelet", "cadvisor", "coredns")],
    "kubernetes/ApiServerErrors": [
        Case(
            {
                'apiserver_request_total{job="apiserver", code="200"}': always(0),
                'apiserver_request_total{job="apiserver", code="201"}': counter(90, 90),
                'apiserver_request_total{job="apiserver", code="500"}': counter(0, 10),
            }
        )
    ],
    "kubernetes/ApiServerSlow": [
        Case(histogram("apiserver_request_duration_seconds", 'job="apiserver", verb="GET"', 0.1, 5)),
        # A watch is meant to last.
        Case(histogram("apiserver_request_duration_seconds", 'job="apiserver", verb="WATCH"', 0.1, 5), alerts=0),
    ],
    "kubernetes/QuotaExhausted": [
        Case(
            {
                "apiserver_admission_controller_admission_duration_seconds_count"
                f'{{job="apiserver", name="ResourceQuota", rejected="{rejected}"}}': counter(
                    1 if rejected == "false" else 0, 1
                )
                for rejected in ("true", "false")
            }
        )
    ],
    "kubernetes/ContainerRestarts": [
        Case(restarts()),
        # The same series with another time: what a cAdvisor without identifiers says.
        Case({f"container_start_time_seconds{{{CONTAINER}}}": counter(0, 1)}),
        # A rollout is a new pod.
        Case({f'container_start_time_seconds{{{CONTAINER}, id="a"}}': gone(1)}, alerts=0),
    ],
    "kubernetes/ContainerOomKilled": [Case({f"container_oom_events_total{{{CONTAINER}}}": counter(0, 1)})],
    "kubernetes/KubeletRuntimeErrors": [
        Case(
            {'kubelet_runtime_operations_errors_total{job="kubelet", instance="n", operation_type="x"}': counter(0, 30)}
        )
    ],
    "kubernetes/KubeletSlow": [
        Case(histogram("kubelet_pleg_relist_duration_seconds", 'job="kubelet", instance="n"', 0.1, 60))
    ],
    "kubernetes/VolumeFilling": [
        Case(
            {
                'kubelet_volume_stats_available_bytes{job="kubelet", namespace="n", persistentvolumeclaim="p"}': gauge(
                    50, 5
                ),
                'kubelet_volume_stats_capacity_bytes{job="kubelet", namespace="n", persistentvolumeclaim="p"}': always(
                    100
                ),
            }
        )
    ],
    "kubernetes/ClientCertificateExpires": [
        Case(
            {
                'apiserver_client_certificate_expiration_seconds_bucket{job="apiserver", le="86400"}': counter(0, 5),
                'apiserver_client_certificate_expiration_seconds_bucket{job="apiserver", le="2.592e+06"}': counter(
                    0, 5
                ),
                'apiserver_client_certificate_expiration_seconds_bucket{job="apiserver", le="+Inf"}': counter(10, 10),
                'apiserver_client_certificate_expiration_seconds_count{job="apiserver"}': counter(10, 10),
            }
        )
    ],
    "kubernetes/CoreDnsErrors": [
        Case(
            {
                'coredns_dns_responses_total{job="coredns", rcode="NOERROR"}': counter(50, 50),
                'coredns_dns_responses_total{job="coredns", rcode="NXDOMAIN"}': counter(50, 50),
                'coredns_dns_responses_total{job="coredns", rcode="SERVFAIL"}': counter(0, 20),
            }
        )
    ],
    "control-plane/TargetMissing": [jobs("etcd", "kube-controller-manager", "kube-scheduler")],
    "control-plane/EtcdNoLeader": [exported('etcd_server_has_leader{job="etcd", instance="e"}')],
    "control-plane/EtcdSlowDisk": [
        Case(histogram("etcd_disk_wal_fsync_duration_seconds", 'job="etcd", instance="e"', 0.01, 2))
    ],
    "control-plane/EtcdDatabaseLarge": [
        Case(
            {
                'etcd_mvcc_db_total_size_in_bytes{job="etcd", instance="e"}': gauge(10, 90),
                'etcd_server_quota_backend_bytes{job="etcd", instance="e"}': always(100),
            }
        )
    ],
    "control-plane/PodsPending": [
        Case(
            {
                'scheduler_pending_pods{job="kube-scheduler", queue="unschedulable"}': gauge(0, 2),
                'scheduler_pending_pods{job="kube-scheduler", queue="active"}': always(3),
            }
        )
    ],
    "kube-state/TargetMissing": [jobs("kube-state-metrics")],
    "kube-state/PodsPending": [Case({f'kube_pod_status_phase{{{KSM}, pod="p", phase="Pending"}}': gauge(0, 1)})],
    "kube-state/DeploymentNotReady": [
        Case(
            {
                f'kube_deployment_spec_replicas{{{KSM}, deployment="d"}}': always(2),
                f'kube_deployment_status_replicas_available{{{KSM}, deployment="d"}}': gauge(2, 1),
            }
        )
    ],
    "kube-state/HpaAtMaximum": [
        Case(
            {
                f'kube_horizontalpodautoscaler_status_current_replicas{{{KSM}, horizontalpodautoscaler="h"}}': gauge(
                    2, 6
                ),
                f'kube_horizontalpodautoscaler_spec_max_replicas{{{KSM}, horizontalpodautoscaler="h"}}': always(6),
                f'kube_horizontalpodautoscaler_spec_min_replicas{{{KSM}, horizontalpodautoscaler="h"}}': always(2),
            }
        )
    ],
    "kube-state/QuotaNearlyUsed": [
        Case(
            {
                f'kube_resourcequota{{{KSM}, resourcequota="q", resource="pods", type="used"}}': gauge(10, 58),
                f'kube_resourcequota{{{KSM}, resourcequota="q", resource="pods", type="hard"}}': always(60),
                # Nothing of what may not be there at all is in use.
                f'kube_resourcequota{{{KSM}, resourcequota="q", resource="services.loadbalancers", type="used"}}': always(
                    0
                ),
                f'kube_resourcequota{{{KSM}, resourcequota="q", resource="services.loadbalancers", type="hard"}}': always(
                    0
                ),
            }
        )
    ],
    "kube-state/NodeNotReady": [
        exported(f'kube_node_status_condition{{{KSM}, node="n", condition="Ready", status="true"}}')
    ],
    "kube-state/JobFailed": [
        Case({f'kube_job_status_failed{{{KSM}, job_name="j"}}': gauge(0, 3)}),
        # Failed once, then done: nobody needs to get up.
        Case(
            {
                f'kube_job_status_failed{{{KSM}, job_name="j"}}': gauge(0, 1),
                f'kube_job_status_succeeded{{{KSM}, job_name="j"}}': always(1),
            },
            alerts=0,
        ),
    ],
    "mesh/TargetMissing": [jobs("istiod", "envoy")],
    "mesh/IstiodRejected": [Case({'pilot_total_xds_rejects{job="istiod", type="cds"}': counter(0, 1)})],
    "mesh/IstiodPushesFail": [
        Case({'pilot_total_xds_internal_errors{job="istiod"}': counter(0, 1)}),
        Case(
            {
                'pilot_total_xds_internal_errors{job="istiod"}': always(0),
                'pilot_xds_write_timeout{job="istiod"}': counter(0, 1),
            }
        ),
    ],
    "mesh/IstiodSlow": [Case(histogram("pilot_proxy_convergence_time", 'job="istiod"', 0.1, 60))],
    "mesh/EnvoyNoHealthyUpstream": [
        Case({'envoy_cluster_upstream_cx_none_healthy{job="envoy", cluster_name="c"}': counter(0, 2)})
    ],
    "mesh/EdgeCertificateExpires": [
        Case(
            {
                "envoy_listener_ssl_certificate_kubernetes___titanium_edge_expiration_unix_time_seconds"
                '{job="envoy", pod="g"}': gauge(9e6, 1e6)
            }
        )
    ],
    "mesh/WorkloadCertificateExpires": [
        Case({'istio_agent_cert_expiry_seconds{namespace="n", pod="p", resource_name="default"}': gauge(80000, 1200)}),
        Case(
            {'istio_agent_cert_expiry_seconds{namespace="n", pod="p", resource_name="ROOTCA"}': always(1200)}, alerts=0
        ),
    ],
    "mesh/MeshRootExpires": [
        Case({'citadel_server_root_cert_expiry_timestamp{job="istiod"}': gauge(9e6, 1e6)}, minutes=(20, 90, 90))
    ],
    "logs/TargetMissing": [jobs("otel-collector")],
    "logs/LokiDown": [jobs("loki"), exported('up{job="loki", instance="i"}')],
    "logs/LokiRequestErrors": [
        Case(
            {
                'loki_request_duration_seconds_count{job="loki", route="push", status_code="204"}': counter(50, 50),
                'loki_request_duration_seconds_count{job="loki", route="push", status_code="500"}': counter(0, 20),
            }
        )
    ],
    "logs/LokiDiscardsLogs": [Case({'loki_discarded_samples_total{job="loki", reason="rate_limited"}': counter(0, 1)})],
    "logs/LokiCompactorStuck": [
        Case(
            {
                "loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds"
                '{job="loki"}': "0+30x119 3600x599 21600+30x239"
            },
            minutes=(60, 300, 120),
        )
    ],
    "logs/OtelCollectorExportFails": [
        Case({'otelcol_exporter_send_failed_log_records{job="otel-collector", exporter="loki"}': counter(0, 1)}),
        Case(
            {'otelcol_exporter_enqueue_failed_log_records_total{job="otel-collector", exporter="loki"}': counter(0, 1)}
        ),
        Case({'otelcol_exporter_send_failed_spans_total{job="otel-collector", exporter="otlp"}': counter(0, 1)}),
    ],
    "logs/OtelCollectorQueueFull": [
        Case(
            {
                'otelcol_exporter_queue_size{job="otel-collector", instance="i", exporter="loki"}': gauge(5, 90),
                'otelcol_exporter_queue_capacity{job="otel-collector", instance="i", exporter="loki"}': always(100),
            }
        )
    ],
    "logs/OtelCollectorRefuses": [
        Case({'otelcol_receiver_refused_log_records_total{job="otel-collector", receiver="filelog"}': counter(0, 1)})
    ],
    "traces/JaegerDown": [jobs("jaeger"), exported('up{job="jaeger", instance="i"}')],
    "traces/JaegerRefusesSpans": [
        Case({'otelcol_receiver_refused_spans_total{job="jaeger", receiver="otlp"}': counter(0, 1)}),
        Case({'otelcol_receiver_refused_spans{job="jaeger", receiver="otlp"}': counter(0, 1)}),
    ],
    "monitoring/TargetMissing": [jobs("prometheus", "alertmanager", "prometheus-operator")],
    "monitoring/TargetDown": [exported('up{job="node-exporter", instance="i"}')],
    "monitoring/PrometheusConfigBad": [exported('prometheus_config_last_reload_successful{job="prometheus"}')],
    "monitoring/PrometheusRuleFailures": [
        Case({'prometheus_rule_evaluation_failures_total{job="prometheus", rule_group="g"}': counter(0, 1)})
    ],
    "monitoring/PrometheusTsdbFailures": [
        Case(
            {
                'prometheus_tsdb_compactions_failed_total{job="prometheus"}': counter(0, 1),
                'prometheus_tsdb_reloads_failures_total{job="prometheus"}': always(0),
                'prometheus_tsdb_wal_corruptions_total{job="prometheus"}': always(0),
            }
        )
    ],
    "monitoring/PrometheusScrapesLate": [
        Case(
            {
                'prometheus_target_scrapes_exceeded_sample_limit_total{job="prometheus"}': counter(0, 1),
                'prometheus_target_scrapes_sample_out_of_order_total{job="prometheus"}': always(0),
            }
        )
    ],
    "monitoring/PrometheusNotificationsFail": [
        Case({'prometheus_notifications_alertmanagers_discovered{job="prometheus"}': gauge(1, 0)}),
        Case({'prometheus_notifications_errors_total{job="prometheus", alertmanager="a"}': counter(0, 5)}),
    ],
    "monitoring/AlertmanagerNotificationsFail": [
        Case({'alertmanager_notifications_failed_total{job="alertmanager", integration="webhook"}': counter(0, 1)})
    ],
    "monitoring/AlertmanagerConfigBad": [exported('alertmanager_config_last_reload_successful{job="alertmanager"}')],
    "monitoring/PrometheusOperatorErrors": [
        Case(
            {
                'prometheus_operator_reconcile_errors_total{job="prometheus-operator", controller="c"}': counter(0, 5),
                'prometheus_operator_reconcile_operations_total{job="prometheus-operator", controller="c"}': counter(
                    10, 10
                ),
            }
        )
    ],
    "gitops/ApplicationOutOfSync": [
        Case({'argocd_app_info{name="titanium", sync_status="OutOfSync", health_status="Healthy"}': only_ill()})
    ],
    "gitops/ApplicationUnhealthy": [
        Case({'argocd_app_info{name="titanium", sync_status="Synced", health_status="Degraded"}': only_ill()})
    ],
}
