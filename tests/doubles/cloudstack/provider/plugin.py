"""Terraform's side: PyPI's `tf` speaks the plugin protocol; schemas are in schema.json, behaviour in the modules."""

from __future__ import annotations

import contextvars
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tf.provider
from tf.blocks import SetNestedBlock
from tf.iface import Provider
from tf.iface import Resource as TfResource
from tf.runner import run_provider
from tf.schema import Attribute, Block, Schema, TextFormat
from tf.types import Bool, List, Map, Number, Set, String, Unknown
from tf.utils import Diagnostics, read_dynamic_value, to_dynamic_value

from tests.doubles.cloudstack.provider import compute, network, rules
from tests.doubles.cloudstack.provider.data import Data, Resource
from tests.doubles.cloudstack.provider.errors import GoneError, ProviderError

if TYPE_CHECKING:
    from tests.doubles.cloudstack.provider.client import Client

ADDRESS = "registry.terraform.io/cloudstack/cloudstack"
RESOURCES: tuple[Resource, ...] = (
    compute.AffinityGroup(),
    compute.Disk(),
    compute.Instance(),
    compute.KubernetesCluster(),
    compute.SshKeypair(),
    network.LoadBalancerRule(),
    network.Network(),
    rules.EgressFirewall(),
    rules.Firewall(),
    rules.PortForward(),
)

_SCHEMAS = json.loads((Path(__file__).parent / "schema.json").read_text())["provider_schemas"][ADDRESS]
_SCALARS = {"string": String, "number": Number, "bool": Bool}
_COLLECTIONS = {"list": List, "set": Set, "map": Map}
#: The configuration of the resource that is being applied: tf hands on the plan alone.
_CONFIGURED: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("configured")


def _type(given: Any) -> Any:
    return _SCALARS[given]() if isinstance(given, str) else _COLLECTIONS[given[0]](_type(given[1]))


def _attributes(block: dict[str, Any], force_new: frozenset[str]) -> list[Any]:
    return [
        Attribute(
            name,
            _type(given["type"]),
            description=given.get("description"),
            description_kind=TextFormat.Plain,
            required=given.get("required", False),
            optional=given.get("optional", False),
            computed=given.get("computed", False),
            sensitive=given.get("sensitive", False),
            requires_replace=name in force_new,
        )
        for name, given in block["attributes"].items()
    ]


def _schema(given: dict[str, Any], force_new: frozenset[str] = frozenset()) -> Any:
    blocks = []
    for name, nested in given["block"].get("block_types", {}).items():
        # All nested blocks of the resources used are sets.
        block = SetNestedBlock(name, Block(attributes=_attributes(nested["block"], frozenset())))
        block.min_items = nested.get("min_items")
        blocks.append(block)
    return Schema(
        version=given["version"],
        attributes=_attributes(given["block"], force_new),
        block_types=blocks,
        description_kind=TextFormat.Plain,
    )


def _known(values: Any) -> Any:
    """Values without placeholders: what is still open after a change is null."""
    if values is Unknown:
        return None
    if isinstance(values, dict):
        return {name: _known(value) for name, value in values.items()}
    if isinstance(values, list):
        return [_known(value) for value in values]
    return values


def _report(diagnostics: Any, error: ProviderError) -> None:
    diagnostics.add_error(str(error))


class _Adapter(TfResource):  # type: ignore[misc]  # tf is not in the environment that type-checks
    """Runs a Resource for tf; a subclass for each type."""

    resource: Resource
    schema: Any

    def __init__(self, provider: CloudstackProvider) -> None:
        self.provider = provider

    @classmethod
    def get_name(cls) -> str:
        return cls.resource.name

    @classmethod
    def get_schema(cls) -> Any:
        return cls.schema

    def create(self, ctx: Any, planned: dict[str, Any]) -> dict[str, Any] | None:
        return self._change(ctx, self.resource.create, Data(_known(planned), configured=_CONFIGURED.get()))

    def update(self, ctx: Any, current: dict[str, Any], planned: dict[str, Any]) -> dict[str, Any] | None:
        return self._change(ctx, self.resource.update, Data(_known(planned), current, _CONFIGURED.get()))

    def read(self, ctx: Any, current: dict[str, Any]) -> dict[str, Any] | None:
        return self._change(ctx, self.resource.read, Data(current))

    def delete(self, ctx: Any, current: dict[str, Any]) -> dict[str, Any] | None:
        d = Data(current)
        try:
            self.resource.delete(d, self.provider.client)
        except ProviderError as error:
            _report(ctx.diagnostics, error)
            return d.values
        return None

    def import_(self, ctx: Any, entity_id: str) -> dict[str, Any]:
        """Only the ID is known; Terraform reads the rest next."""
        del ctx
        blocks: dict[str, Any] = {block.type_name: [] for block in self.schema.block_types}
        return {**{attribute.name: None for attribute in self.schema.attributes}, **blocks, "id": entity_id}

    def _change(self, ctx: Any, method: Any, d: Data) -> dict[str, Any] | None:
        try:
            method(d, self.provider.client)
        except GoneError as error:
            if method.__name__ == "read":
                return None
            _report(ctx.diagnostics, error)
        except ProviderError as error:
            _report(ctx.diagnostics, error)
        return d.values if d.entity_id else None


_ADAPTERS: dict[str, Any] = {
    f"cloudstack_{resource.name}": type(
        resource.name,
        (_Adapter,),
        {
            "resource": resource,
            "schema": _schema(_SCHEMAS["resource_schemas"][f"cloudstack_{resource.name}"], resource.force_new),
        },
    )
    for resource in RESOURCES
}


class _Servicer(tf.provider.ProviderServicer):  # type: ignore[misc]  # as above
    """What providers made with the plugin SDK 2 do and tf does not: defaults and zero values in plans, hashes in state.

    Both break the rules of newer providers, and so such providers declare themselves as of the legacy type system.
    """

    def PlanResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802  the protocol's name
        resource = _ADAPTERS[request.type_name].resource
        proposed = read_dynamic_value(request.proposed_new_state)
        if proposed is not None:
            prior = read_dynamic_value(request.prior_state) or {}
            for name, value in proposed.items():
                if value is None:
                    # What is not set equals a type's zero value.
                    zero = prior.get(name) in (False, 0, "")
                    proposed[name] = prior[name] if zero else resource.defaults.get(name)
            for name, value in proposed.items():
                if isinstance(value, str):
                    proposed[name] = resource.state_value(name, value)
            request.proposed_new_state.CopyFrom(to_dynamic_value(proposed))
        response = super().PlanResourceChange(request, context)
        response.legacy_type_system = True
        return response

    def ApplyResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802  the protocol's name
        _CONFIGURED.set(read_dynamic_value(request.config) or {})
        response = super().ApplyResourceChange(request, context)
        response.legacy_type_system = True
        return response


class CloudstackProvider(Provider):  # type: ignore[misc]  # as above
    """The provider."""

    client: Client

    def get_model_prefix(self) -> str:
        return "cloudstack_"

    def full_name(self) -> str:
        return ADDRESS

    def get_provider_schema(self, diags: Any) -> Any:
        del diags
        return _schema(_SCHEMAS["provider"])

    def validate_config(self, diags: Any, config: dict[str, Any]) -> None:
        """Nothing: values may come from the environment."""

    def configure_provider(self, diags: Diagnostics, config: dict[str, Any]) -> None:
        values = {
            name: config.get(name) or os.environ.get(f"CLOUDSTACK_{name.upper()}", "")
            for name in ("api_url", "api_key", "secret_key")
        }
        if any(values.values()) and not all(values.values()):
            diags.add_error("'api_url', 'api_key' and 'secret_key' should all have values")
        elif not any(values.values()):
            diags.add_error("either 'api_url', 'api_key' and 'secret_key' or 'config' and 'profile' should have values")
        elif not re.match(r"https?://", values["api_url"]):
            diags.add_error(f"api_url {values['api_url']!r} is not a URL")
        else:
            timeout = config.get("timeout") or int(os.environ.get("CLOUDSTACK_TIMEOUT", "900"))
            get_only = config.get("http_get_only") or os.environ.get("CLOUDSTACK_HTTP_GET_ONLY") == "true"
            # Late, because Terraform starts a provider several times a command, mostly for its schema alone.
            from tests.doubles.cloudstack.provider.client import Client

            self.client = Client(
                values["api_url"], values["api_key"], values["secret_key"], timeout=timeout, get_only=bool(get_only)
            )

    def get_data_sources(self) -> list[type]:
        return []

    def get_resources(self) -> list[type]:
        return list(_ADAPTERS.values())


def main() -> None:
    """Serve Terraform until it is done."""
    # run_provider takes the servicer from its module.
    tf.provider.ProviderServicer = _Servicer
    run_provider(CloudstackProvider())
