"""api-gateway's settings."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from titanium_common.settings import Settings


class GatewaySettings(Settings):
    """What api-gateway is told besides what all services are."""

    service: ClassVar[str] = "api-gateway"

    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    """For inside: what the edge has, and `/health`, `/ready`, `/stats`, `/metrics`, `/docs`."""
    edge_port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """For the outside: the routes at the edge and nothing else."""
    upstream_timeout: Annotated[float, Field(gt=0)] = 15.0
    """Seconds a service may take to answer."""
    upstream_connections: Annotated[int, Field(ge=1)] = 100
    """Connections to each service."""

    @model_validator(mode="after")
    def _two_ports(self) -> GatewaySettings:
        if self.port == self.edge_port:
            raise ValueError("PORT and EDGE_PORT must differ: one is for inside, the other for everybody")
        return self
