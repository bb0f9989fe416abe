"""The API client: PyPI's `cs`, which signs and polls by itself, with the error texts of the Go client."""

from __future__ import annotations

from typing import Any

import requests
from cs import CloudStack, CloudStackApiException, CloudStackException

from tests.doubles.cloudstack.provider.errors import GoneError, ProviderError, is_id


class Client:
    """Calls commands. timeout: seconds that a job may take."""

    def __init__(self, url: str, api_key: str, secret_key: str, *, timeout: int, get_only: bool) -> None:
        self._url = url
        self._cs = CloudStack(
            endpoint=url,
            key=api_key,
            secret=secret_key,
            method="get" if get_only else "post",
            job_timeout=timeout,
            poll_interval=0.1,
            timeout=10,
        )

    def call(self, command: str, **params: Any) -> dict[str, Any]:
        """Run a command and wait for its job. Returns the answer or the result. Raises ProviderError, GoneError."""
        try:
            answer = getattr(self._cs, command)(fetch_result=True, **params)
        except CloudStackApiException as error:
            code, cscode = error.error.get("errorcode"), error.error.get("cserrorcode", 0)
            text = error.error.get("errortext", "")
            kind = GoneError if "or entity does not exist" in text else ProviderError
            raise kind(f"CloudStack API error {code} (CSExceptionErrorCode: {cscode}): {text}") from error
        except CloudStackException as error:
            if "Timeout" in str(error):
                raise ProviderError("Timeout while waiting for async job to finish") from error
            raise ProviderError(str(error)) from error
        except requests.exceptions.Timeout as error:
            raise ProviderError(f'Post "{self._url}": net/http: request canceled (Client.Timeout exceeded)') from error
        except requests.exceptions.ConnectionError as error:
            raise ProviderError(f'Post "{self._url}": dial tcp: connect: connection refused') from error
        return answer if isinstance(answer, dict) else {}

    def one(self, command: str, key: str, entity_id: str, **params: Any) -> dict[str, Any]:
        """An entity by ID. Raises GoneError."""
        rows = self.call(command, id=entity_id, **params).get(key, [])
        if not rows:
            raise GoneError(f"No match found for {entity_id}: &{{Count:0 {key}:[]}}")
        if len(rows) > 1:
            raise ProviderError(f"There is more then one result for {key} UUID: {entity_id}!")
        found: dict[str, Any] = rows[0]
        return found

    def resolve(self, what: str, command: str, key: str, value: str, **params: Any) -> str:
        """The ID of what is given by name or ID. Raises ProviderError."""
        if is_id(value):
            return value
        try:
            rows = self.call(command, **params).get(key, [])
        except ProviderError as error:
            raise ProviderError(f"Error retrieving ID of {what} {value}: {error}") from error
        for row in rows:
            if row["name"] == value:
                return str(row["id"])
        raise ProviderError(
            f"Error retrieving ID of {what} {value}: No match found for {value}: &{{Count:{len(rows)} {key}:[...]}}"
        )

    def zone(self, value: str) -> str:
        """ID of a zone."""
        return self.resolve("zone", "listZones", "zone", value, name=value)

    def service_offering(self, value: str) -> str:
        """ID of a service offering."""
        return self.resolve("service_offering", "listServiceOfferings", "serviceoffering", value, name=value)

    def disk_offering(self, value: str) -> str:
        """ID of a disk offering."""
        return self.resolve("disk_offering", "listDiskOfferings", "diskoffering", value, name=value)

    def network_offering(self, value: str) -> str:
        """ID of a network offering."""
        return self.resolve("network_offering", "listNetworkOfferings", "networkoffering", value, name=value)

    def template(self, value: str, zone_id: str) -> str:
        """ID of a template in a zone."""
        return self.resolve(
            "template", "listTemplates", "template", value, name=value, templatefilter="executable", zoneid=zone_id
        )

    def kubernetes_version(self, value: str) -> str:
        """ID of a supported Kubernetes version."""
        return self.resolve(
            "kubernetes_version", "listKubernetesSupportedVersions", "kubernetessupportedversion", value
        )
