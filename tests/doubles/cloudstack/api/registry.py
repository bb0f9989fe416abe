"""How commands are declared: by name, at once (`sync`) or as a job (`job`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.doubles.cloudstack.api import errors
from tests.doubles.cloudstack.api.cloud import Cloud, Entity, Table


class Params(dict[str, str]):
    """Parameters of a call; names are in lower case, as CloudStack does not mind the case."""

    def __init__(self, command: str, values: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in values.items()})
        self.command = command

    def need(self, name: str) -> str:
        """A required parameter. Raises ApiError 431."""
        value = self.get(name, "")
        if not value:
            raise errors.missing(self.command, name)
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """A whole number. Raises ApiError 431."""
        raw = self.get(name)
        if raw is None and default is not None:
            return default
        raw = self.need(name)
        if not raw.lstrip("-").isdigit():
            raise errors.unknown_entity(self.command, name, raw)
        return int(raw)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean."""
        return self.get(name, str(default)).lower() == "true"

    def listed(self, name: str) -> list[str]:
        """A comma-separated list."""
        return [item for item in self.get(name, "").split(",") if item]

    def entity(self, table: Table, name: str) -> Entity:
        """What a required parameter refers to by ID. Raises ApiError 431."""
        value = self.need(name)
        if value not in table:
            raise errors.unknown_entity(self.command, name, value)
        return table[value]


Handler = Callable[[Cloud, Params], dict[str, Any]]


@dataclass(frozen=True)
class Command:
    """A command: what runs, whether as a job, and the key of a job's result (empty: {"success": true})."""

    handler: Handler
    is_job: bool
    result_key: str


COMMANDS: dict[str, Command] = {}


def sync(name: str) -> Callable[[Handler], Handler]:
    """Declare a command that answers at once."""

    def register(handler: Handler) -> Handler:
        COMMANDS[name] = Command(handler, is_job=False, result_key="")
        return handler

    return register


def job(name: str, result_key: str = "") -> Callable[[Handler], Handler]:
    """Declare a command that answers with a job's ID."""

    def register(handler: Handler) -> Handler:
        COMMANDS[name] = Command(handler, is_job=True, result_key=result_key)
        return handler

    return register


def listing(params: Params, table: Table, key: str, *filters: str) -> dict[str, Any]:
    """The answer of a list command: filtered, paged, and empty (not a count of 0) when nothing is found.

    CloudStack takes an empty ID for none.
    """
    rows = [params.entity(table, "id")] if params.get("id") else list(table.values())
    for name in filters:
        if name in params:
            rows = [row for row in rows if str(row.get(name, "")) == params[name]]
    if "keyword" in params:
        rows = [row for row in rows if params["keyword"].lower() in str(row.get("name", "")).lower()]
    count = len(rows)
    if "pagesize" in params:
        size = params.number("pagesize")
        start = (params.number("page", 1) - 1) * size
        rows = rows[start : start + size]
    return {"count": count, key: [visible(row) for row in rows]} if rows else {}


def visible(row: Entity) -> Entity:
    """A row without what only the double keeps (names with a leading underscore)."""
    return {name: value for name, value in row.items() if not name.startswith("_")}
