"""What a resource's methods work on: planned values, what was before, and what is to be remembered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.doubles.cloudstack.provider.errors import is_id

if TYPE_CHECKING:
    from tests.doubles.cloudstack.provider.client import Client


class Data:
    """The values of one resource while it is created, read, changed or deleted.

    What is set stays in Terraform's state even if the method then fails, as soon as there is an ID: that is how a
    half-made resource is remembered.
    """

    def __init__(
        self,
        values: dict[str, Any],
        prior: dict[str, Any] | None = None,
        configured: dict[str, Any] | None = None,
    ) -> None:
        self.values = values
        self.prior = prior or {}
        #: As written by the user, where the state keeps something else (a hash).
        self.configured = configured or {}

    @property
    def entity_id(self) -> str:
        """The ID; empty means that there is nothing to remember."""
        return self.values.get("id") or ""

    @entity_id.setter
    def entity_id(self, value: str) -> None:
        self.values["id"] = value or None

    def get(self, name: str) -> Any:
        """A value, None if it is not set."""
        return self.values.get(name)

    def text(self, name: str) -> str:
        """A string, empty if it is not set."""
        return self.values.get(name) or ""

    def set(self, **values: Any) -> None:
        """Remember values."""
        self.values.update(values)

    def changed(self, *names: str) -> bool:
        """Whether one of them differs from what was before."""
        return any(_comparable(self.values.get(name)) != _comparable(self.prior.get(name)) for name in names)

    def set_name_or_id(self, name: str, value: str | None, entity_id: str | None) -> None:
        """Remember an entity the way the user refers to it: by name or by ID."""
        self.values[name] = entity_id if is_id(self.text(name)) else value


def _comparable(value: Any) -> Any:
    return sorted(value, key=str) if isinstance(value, list) else value


class Resource:
    """A resource type: what is not in the schema (it is in the provider's source), and the four methods."""

    #: Name without the prefix.
    name: str
    #: A change of these replaces the resource.
    force_new: frozenset[str] = frozenset()
    #: Planned when the configuration says nothing.
    defaults: dict[str, Any] = {}  # noqa: RUF012  read only

    @staticmethod
    def state_value(name: str, value: str) -> str:
        """What the state keeps of a configured string."""
        del name
        return value

    def create(self, d: Data, api: Client) -> None:
        """Make it."""
        raise NotImplementedError

    def read(self, d: Data, api: Client) -> None:
        """Refresh the values. Raises GoneError when it does not exist any more."""
        raise NotImplementedError

    def update(self, d: Data, api: Client) -> None:
        """Change it in place."""
        raise NotImplementedError

    def delete(self, d: Data, api: Client) -> None:
        """Remove it."""
        raise NotImplementedError


def write_tags(d: Data, api: Client, kind: str) -> None:
    """Make the entity's tags those of the configuration."""
    old, new = d.prior.get("tags") or {}, d.get("tags") or {}
    removed = {key: value for key, value in old.items() if new.get(key) != value}
    added = {key: value for key, value in new.items() if old.get(key) != value}
    for command, tags in (("deleteTags", removed), ("createTags", added)):
        if tags:
            rows = [{"key": key, "value": value} for key, value in sorted(tags.items())]
            api.call(command, resourceids=d.entity_id, resourcetype=kind, tags=rows)


def tags_of(row: dict[str, Any]) -> dict[str, str]:
    """The tags of an entity as a map."""
    return {tag["key"]: tag["value"] for tag in row.get("tags", [])}
