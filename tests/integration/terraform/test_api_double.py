"""The double of the API by itself: what a client may rely on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.doubles.cloudstack.api.app import signature
from tests.doubles.cloudstack.api.cloud import entity_id
from tests.doubles.cloudstack.api.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.doubles.cloudstack.api.cloud import Cloud


@pytest.fixture
def url(cloud: Cloud) -> Iterator[str]:
    with serve(cloud) as address:
        yield address


def call(cloud: Cloud, url: str, command: str, **params: str) -> tuple[int, dict[str, Any]]:
    """A signed call. Returns status and the answer below its key."""
    values = {"command": command, "response": "json", "apiKey": cloud.api_key, **params}
    values.setdefault("signature", signature(cloud.secret_key, values))
    answer = httpx.post(url, data=values)
    [(key, body)] = answer.json().items()
    assert key == f"{command.lower()}response"
    return answer.status_code, body


def test_signature_is_the_documented_one() -> None:
    # The example of CloudStack's developer guide.
    values = {
        "command": "listUsers",
        "response": "json",
        "apiKey": "plgWJfZK4gyS3mOMTVmjUVg-X-jlWlnfaUJ9GAbBbf9EdM-kAYMmAiLqzzq1ElZLYq_u38zCm0bewzGUdP66mg",
    }
    secret = "VDaACYb0LV9eNjTetIOElcVQkvJck_J_QljX_FcHRj87ZKiy0z0ty0ZsYBkoXkY9b7eq1EhwJaw7FF3akA3KBQ"
    assert signature(secret, values) == "TTpdDq/7j/J58XCRHomKoQXEQds="


def test_only_signed_and_fresh_calls_are_answered(cloud: Cloud, url: str) -> None:
    assert call(cloud, url, "listZones")[0] == 200
    status, body = call(cloud, url, "listZones", signature="d3Jvbmc=")
    assert (status, body["errorcode"]) == (401, 401)
    old = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S+0000")
    assert call(cloud, url, "listZones", signatureVersion="3", expires=old)[0] == 401
    new = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S+0000")
    assert call(cloud, url, "listZones", signatureVersion="3", expires=new)[0] == 200
    assert cloud.commands() == ["listZones", "listZones"], "refused calls never reach the cloud"


def test_errors_have_the_shape_of_cloudstack(cloud: Cloud, url: str) -> None:
    status, body = call(cloud, url, "launchRocket")
    assert (status, body["errorcode"], body["cserrorcode"]) == (432, 432, 9999)
    status, body = call(cloud, url, "deleteNetwork")
    assert body["errortext"] == "Unable to execute API command deletenetwork due to missing parameter id"
    status, body = call(cloud, url, "deleteNetwork", id="nothing")
    assert "Invalid parameter id value=nothing due to incorrect long value format, or entity does not exist" in str(
        body
    )
    assert call(cloud, url, "listNetworks") == (200, {}), "an empty list has no rows and no count"


def test_jobs_take_their_time(cloud: Cloud, url: str) -> None:
    _, body = call(
        cloud,
        url,
        "createNetwork",
        name="n",
        zoneid=entity_id("zone", "zone-1"),
        networkofferingid=entity_id("network_offering", "IsolatedOpenEgress"),
        gateway="10.0.0.1",
        netmask="255.255.255.0",
    )
    cloud.job_seconds = 3600
    _, started = call(cloud, url, "associateIpAddress", networkid=body["network"]["id"])
    assert set(started) == {"id", "jobid"}
    _, pending = call(cloud, url, "queryAsyncJobResult", jobid=started["jobid"])
    assert pending["jobstatus"] == 0
    cloud.jobs[started["jobid"]].ready = 0
    _, done = call(cloud, url, "queryAsyncJobResult", jobid=started["jobid"])
    assert done["jobstatus"] == 1
    assert done["jobresult"]["ipaddress"]["issourcenat"] is True

    cloud.job_seconds = 0
    _, refused = call(cloud, url, "disassociateIpAddress", id=started["id"])
    assert "used for source nat purposes" in refused["errortext"]
