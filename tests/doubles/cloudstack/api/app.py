"""The HTTP side: who calls, which command, at once or as a job, and answers in CloudStack's shape."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tests.doubles.cloudstack.api import catalogue, compute, errors, kubernetes, network
from tests.doubles.cloudstack.api.cloud import Cloud, Job
from tests.doubles.cloudstack.api.registry import COMMANDS, Params

#: Importing the modules is what declares their commands.
MODULES = (catalogue, compute, kubernetes, network)


def signature(secret_key: str, values: dict[str, str]) -> str:
    """CloudStack's signature: HMAC-SHA1 over the sorted, encoded, lower-cased parameters without the signature."""
    unsigned = "&".join(
        f"{name}={quote(values[name], safe='*')}" for name in sorted(values) if name.lower() != "signature"
    ).lower()
    return base64.b64encode(hmac.new(secret_key.encode(), unsigned.encode(), hashlib.sha1).digest()).decode()


def authenticate(cloud: Cloud, values: dict[str, str]) -> None:
    """Check key, expiry and signature. Raises ApiError 401."""
    given = {name.lower(): value for name, value in values.items()}
    if not hmac.compare_digest(given.get("apikey", ""), cloud.api_key):
        raise errors.credentials()
    if given.get("signatureversion") == "3":
        try:
            expires = datetime.strptime(given.get("expires", ""), "%Y-%m-%dT%H:%M:%S%z")
        except ValueError:
            raise errors.credentials() from None
        if expires < datetime.now(UTC):
            raise errors.credentials()
    if not hmac.compare_digest(given.get("signature", ""), signature(cloud.secret_key, values)):
        raise errors.credentials()


def _job_answer(cloud: Cloud, params: Params) -> dict[str, Any]:
    job = cloud.jobs.get(params.need("jobid"))
    if job is None:
        raise errors.unknown_entity(params.command, "jobid", params["jobid"])
    answer: dict[str, Any] = {
        "accountid": "5d0c3b0e-6a0b-4c52-8f0c-5b7d6f1c0a01",
        "cmd": job.command,
        "jobid": job.id,
        "jobstatus": 0,
        "jobprocstatus": 0,
        "jobresultcode": 0,
    }
    if time.monotonic() < job.ready:
        return answer
    answer["jobstatus"] = 2 if job.failed else 1
    answer["jobresultcode"] = 530 if job.failed else 0
    answer["jobresulttype"] = "object"
    answer["jobresult"] = job.result
    return answer


def execute(cloud: Cloud, params: Params) -> dict[str, Any]:
    """Run a command. Raises ApiError."""
    if params.command == "queryAsyncJobResult":
        return _job_answer(cloud, params)
    command = COMMANDS.get(params.command)
    if command is None:
        raise errors.ApiError(
            432,
            f"The given command '{params.command}' either does not exist, is not available for user, or not available "
            "from ip address '127.0.0.1'.",
        )
    fault = cloud.fault(params.command, params, in_job=False)
    if fault is not None:
        raise errors.ApiError(fault.code, fault.text)
    if not command.is_job:
        return command.handler(cloud, params)

    job = Job(str(uuid.uuid4()), params.command, time.monotonic() + cloud.job_seconds, {}, failed=False)
    try:
        # deployVirtualMachine looks for its fault itself: what it leaves behind depends on how far it came.
        fault = None if params.command == "deployVirtualMachine" else cloud.fault(params.command, params, in_job=True)
        if fault is not None:
            raise errors.ApiError(fault.code, fault.text)
        result = command.handler(cloud, params)
        job.result = {command.result_key: result} if command.result_key else {"success": True}
    except errors.ApiError as error:
        # Wrong parameters and full quotas are found before a job is made.
        if error.code in (431, 535):
            raise
        job.failed, job.result, result = True, error.body(), {}
    cloud.jobs[job.id] = job
    return {"id": result.get("id", ""), "jobid": job.id} if result.get("id") else {"jobid": job.id}


def make_app(cloud: Cloud) -> FastAPI:
    """The API of that cloud, at /client/api."""
    app = FastAPI(openapi_url=None)

    @app.api_route("/client/api", methods=["GET", "POST"])
    async def call(request: Request) -> JSONResponse:
        body = (await request.body()).decode()
        values = dict([*request.query_params.items(), *parse_qsl(body, keep_blank_values=True)])
        command = next((value for name, value in values.items() if name.lower() == "command"), "")
        key = f"{command.lower()}response"
        try:
            with cloud.lock:
                authenticate(cloud, values)
                cloud.throttle()
                params = Params(command, values)
                cloud.calls.append((command, dict(params)))
                return JSONResponse({key: execute(cloud, params)})
        except errors.ApiError as error:
            return JSONResponse({key: error.body()}, status_code=error.code)

    return app
