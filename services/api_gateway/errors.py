"""What can go wrong between the gateway and a service; three things that a client or an operator treats differently."""

from __future__ import annotations

from titanium_common.errors import ServiceError, ServiceUnavailable


class UpstreamAway(ServiceUnavailable):
    """No connection to the service could be made; nothing was sent, so the request can be repeated."""


class BadGateway(ServiceError):
    """The service broke off, or did not speak HTTP; it may have acted on the request."""

    status = 502
    detail = "The service broke off the connection"


class GatewayTimeout(ServiceError):
    """The service did not answer in time; it may have acted on the request."""

    status = 504
    detail = "The service did not answer in time"


class MethodNotAllowed(ServiceError):
    """No route has this method."""

    status = 405
    detail = "Method Not Allowed"
