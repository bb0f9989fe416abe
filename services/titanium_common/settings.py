"""Settings from the environment; the table in CONTRIBUTING.md and services/README.md lists the variables."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

LogLevel = Literal["debug", "info", "warning", "error", "critical"]


class Settings(BaseSettings):
    """What every service is told. A service's own settings derive from it and set `service`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False)

    service: ClassVar[str] = "service"

    # Inside a pod the kubelet and other pods reach the service by the pod's address, so all addresses is the default.
    host: str = "0.0.0.0"  # noqa: S104
    port: Annotated[int, Field(ge=1, le=65535)] = 8000

    database_host: str = "localhost"
    database_port: Annotated[int, Field(ge=1, le=65535)] = 5432
    database_name: str = "titanium"
    database_user: str = ""
    database_password: SecretStr = SecretStr("")
    database_pool_size: Annotated[int, Field(ge=1, le=200)] = 10
    """Connections one replica may hold."""
    database_timeout: Annotated[float, Field(gt=0)] = 5.0
    """Seconds one statement may take, and a request may wait for a connection."""

    redis_host: str = ""
    redis_port: Annotated[int, Field(ge=1, le=65535)] = 6379
    redis_password: SecretStr = SecretStr("")
    redis_timeout: Annotated[float, Field(gt=0)] = 0.25
    """Seconds one command may take before it counts as failed."""

    auth_service_url: str = "http://localhost:8002"
    user_service_url: str = "http://localhost:8001"
    blog_service_url: str = "http://localhost:8005"

    trusted_proxies: Annotated[int, Field(ge=0, le=16)] = 0
    """How many proxies in front append to `X-Forwarded-For`."""

    log_level: LogLevel = "info"
    service_version: str = "dev"
    otel_exporter_otlp_endpoint: str = ""

    max_body_size: Annotated[int, Field(ge=1024)] = 1024 * 1024
    """Bytes of a request's body."""
    request_timeout: Annotated[float, Field(gt=0)] = 20.0
    """Seconds one request may take, its body included."""
    shutdown_delay: Annotated[float, Field(ge=0)] = 2.0
    """Seconds between SIGTERM (not ready any more) and the closed door."""
    shutdown_timeout: Annotated[int, Field(ge=1)] = 18
    """Seconds running requests may take to finish after that."""


class BackendSettings(Settings):
    """For the services behind the gateway, which passes on one client address in `X-Forwarded-For`."""

    trusted_proxies: Annotated[int, Field(ge=0, le=16)] = 1
