"""An S3-compatible object store in memory, as far as Terraform keeps state in one: objects, conditional writes, listing."""

from __future__ import annotations

import hashlib
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import uvicorn
from fastapi import FastAPI, Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterator


def _error(status: int, code: str) -> Response:
    body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    return Response(body, status, media_type="application/xml")


def make_app(objects: dict[str, bytes], log: list[str]) -> FastAPI:
    """The store over these objects (by key); every call is noted in the log."""
    app = FastAPI(openapi_url=None)

    @app.get("/{bucket}")
    async def list_objects(bucket: str, request: Request) -> Response:
        prefix = request.query_params.get("prefix", "")
        keys = "".join(f"<Contents><Key>{escape(key)}</Key></Contents>" for key in objects if key.startswith(prefix))
        body = (
            f"<ListBucketResult><Name>{escape(bucket)}</Name>{keys}<IsTruncated>false</IsTruncated></ListBucketResult>"
        )
        return Response(body, media_type="application/xml")

    @app.api_route("/{bucket}/{key:path}", methods=["GET", "HEAD", "PUT", "DELETE"])
    async def one_object(bucket: str, key: str, request: Request) -> Response:
        del bucket
        log.append(f"{request.method} {key}")
        if request.method == "PUT":
            if request.headers.get("if-none-match") == "*" and key in objects:
                return _error(412, "PreconditionFailed")
            objects[key] = await request.body()
        elif key not in objects:
            return _error(404, "NoSuchKey")
        elif request.method == "DELETE":
            del objects[key]
            return Response(status_code=204)
        etag = hashlib.md5(objects[key], usedforsecurity=False).hexdigest()
        body = objects[key] if request.method == "GET" else b""
        return Response(body, headers={"ETag": f'"{etag}"'}, media_type="application/octet-stream")

    return app


@contextmanager
def serve(objects: dict[str, bytes], log: list[str]) -> Iterator[str]:
    """Serve the store while the context lasts. Yields its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(make_app(objects, log), log_level="warning", lifespan="off", access_log=False)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
