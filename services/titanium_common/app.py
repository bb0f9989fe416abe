"""The application factory: what every service has, around the routers that are its own."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, FastAPI, Request
from starlette.responses import PlainTextResponse, Response

from titanium_common.database import Database
from titanium_common.errors import JsonResponse, ServiceError, add_error_handlers
from titanium_common.logs import AccessLog
from titanium_common.metrics import Metrics
from titanium_common.middleware import RequestMiddleware
from titanium_common.ratelimit import RateLimiter
from titanium_common.redis_client import Redis
from titanium_common.tokens import TokenVerifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from starlette.middleware import Middleware

    from titanium_common.settings import Settings

log = logging.getLogger(__name__)

CHECK_TIMEOUT = 1.5
"""Seconds a readiness check may take."""


class State:
    """What `app.state` holds; read it with `state(request)`."""

    settings: Settings
    metrics: Metrics
    database: Database
    redis: Redis
    tokens: TokenVerifier
    limiter: RateLimiter
    checks: dict[str, Callable[[], Awaitable[None]]]
    """What must be reached for the service to be ready; each raises a `ServiceError` when it is not."""
    watched: dict[str, Callable[[], Awaitable[None]]]
    """What `/ready` tells about, but can be done without."""
    draining: bool


def state(request: Request) -> State:
    """The application's parts."""
    return cast("State", request.app.state)


def create_app(
    settings: Settings,
    *,
    title: str,
    routers: Sequence[APIRouter] = (),
    database: bool = False,
    redis: bool = False,
    tokens: bool = False,
    lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
    middleware: Sequence[Middleware] = (),
    access_log: AccessLog | None = None,
) -> FastAPI:
    """Make a service.

    Args:
        settings: the service's settings.
        title: its name in the OpenAPI document.
        routers: its own routes.
        database: whether it needs PostgreSQL (`app.state.database`); it is not ready without.
        redis: whether it uses Redis (`app.state.redis`, `app.state.limiter`); it is ready without.
        tokens: whether it verifies access tokens (`app.state.tokens`, `current_user`).
        lifespan: opens and closes what else it needs, after and before the parts above.
        middleware: its own ASGI middleware, around its routes and inside the common one.
        access_log: where access lines go instead of standard output.

    Returns:
        The application. Its parts are opened by its lifespan; nothing is connected before.
    """
    metrics = Metrics(settings.service)
    access = access_log or AccessLog(settings.service)
    tracing = None
    if settings.otel_exporter_otlp_endpoint:
        from titanium_common.telemetry import Tracing  # Costs memory and start-up time, so only where it is used.

        tracing = Tracing(settings.service, settings.service_version, settings.otel_exporter_otlp_endpoint)

    @asynccontextmanager
    async def whole_lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.callback(access.flush)
            if tracing is not None:
                stack.push_async_callback(asyncio.to_thread, tracing.close)
            if database:
                await app.state.database.open()
                stack.push_async_callback(app.state.database.close)
            if redis:
                stack.push_async_callback(app.state.redis.close)
            if tokens:
                await app.state.tokens.open()
                stack.push_async_callback(app.state.tokens.close)
            if lifespan is not None:
                await stack.enter_async_context(lifespan(app))
            log.info("%s %s started", settings.service, settings.service_version)
            yield
            log.info("%s stops", settings.service)

    app = FastAPI(
        title=title,
        version=settings.service_version,
        lifespan=whole_lifespan,
        redoc_url=None,
        # The common middleware does all three, and asking for providers would cost every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.draining = False
    app.state.checks = {}
    app.state.watched = {}
    if database:
        app.state.database = Database(settings, metrics)
        app.state.checks["database"] = app.state.database.check
    if redis:
        app.state.redis = Redis(settings, metrics)
        if settings.redis_host:
            app.state.watched["redis"] = app.state.redis.check
        app.state.limiter = RateLimiter(app.state.redis, metrics, settings.trusted_proxies)
    if tokens:
        app.state.tokens = TokenVerifier(settings.auth_service_url)

    app.user_middleware.extend(middleware)
    app.add_middleware(
        RequestMiddleware,
        metrics=metrics,
        access_log=access,
        time_limit=settings.request_timeout,
        max_body_size=settings.max_body_size,
        trusted_proxies=settings.trusted_proxies,
        tracing=tracing,
    )
    add_error_handlers(app)
    app.include_router(operations())
    for router in routers:
        app.include_router(router)
    return app


async def check_dependencies(parts: State) -> tuple[bool, dict[str, str]]:
    """Ask everything the service needs or uses; return whether it is ready, and what each one said."""

    async def ask(check: Callable[[], Awaitable[None]]) -> bool:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT):
                await check()
        except (ServiceError, TimeoutError, OSError):
            return False
        return True

    checks = {**parts.watched, **parts.checks}
    answers = dict(zip(checks, await asyncio.gather(*map(ask, checks.values())), strict=True))
    ready = all(answers[name] for name in parts.checks) and not parts.draining
    return ready, {name: "ok" if answer else "unavailable" for name, answer in answers.items()}


def operations() -> APIRouter:
    """What every service has: `/health`, `/ready`, `/stats`, `/metrics`."""
    router = APIRouter(tags=["operation"])

    @router.get("/health")
    async def health() -> Response:
        """Whether the process lives."""
        return JsonResponse({"status": "ok"})

    @router.get("/ready", responses={503: {"description": "Not ready, or about to stop"}})
    async def ready(request: Request) -> Response:
        """Whether requests should be sent here: what it depends on is reached, and it is not about to stop."""
        parts = state(request)
        is_ready, checks = await check_dependencies(parts)
        status = "ready" if is_ready else "draining" if parts.draining else "not ready"
        return JsonResponse({"status": status, "checks": checks}, status_code=200 if is_ready else 503)

    @router.get("/stats")
    async def stats(request: Request) -> Response:
        """A few numbers for people; `/metrics` has all of them."""
        parts = state(request)
        body: dict[str, Any] = {
            "service": parts.settings.service,
            "version": parts.settings.service_version,
            "uptime_seconds": round(time.time() - parts.metrics.started, 1),
            "requests_total": parts.metrics.requests,
            "errors_total": parts.metrics.errors,
        }
        if (database := getattr(parts, "database", None)) is not None:
            body["database"] = {"connections": database.size, "idle": database.idle}
        if (redis := getattr(parts, "redis", None)) is not None:
            body["redis"] = {"configured": redis.client is not None, "available": redis.available}
        return JsonResponse(body)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """Prometheus metrics."""
        return Response(state(request).metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
