"""What has drifted, as a table has it."""

from __future__ import annotations

from typing import Any

from plugins.module_utils.apply.diff import render
from plugins.module_utils.apply.drift import MOST, rows


def deployment(**spec: Any) -> dict[str, Any]:
    """A Deployment."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": "web"},
        "spec": spec,
    }


def drift(live: dict[str, Any] | None, wanted: dict[str, Any] | None, *, secret: bool = False) -> list[dict[str, Any]]:
    """What is said of one object."""
    return rows([render("Deployment web/api", live, wanted, secret=secret)])


def test_names_the_field() -> None:
    assert drift(deployment(replicas=3, paused=False), deployment(replicas=2, paused=False)) == [
        {"object": "Deployment web/api", "change": "changed", "fields": ["spec.replicas"]}
    ]


def test_names_fields_that_came_and_went() -> None:
    [row] = drift(deployment(replicas=2, paused=True), deployment(replicas=2, minReadySeconds=5))
    assert row["fields"] == ["spec.minReadySeconds", "spec.paused"]


def test_names_the_entry_of_a_list() -> None:
    def of(image: str) -> dict[str, Any]:
        return deployment(containers=[{"name": "api", "image": image}, {"name": "side", "image": "s"}])

    assert drift(of("b"), of("a"))[0]["fields"] == ["spec.containers[api].image"]


def test_a_list_without_names_is_one_field() -> None:
    assert drift(deployment(args=["a", "b"]), deployment(args=["a"]))[0]["fields"] == ["spec.args"]


def test_objects_that_are_gone_or_too_many() -> None:
    assert drift(None, deployment())[0]["change"] == "missing"
    assert drift(deployment(), None)[0]["change"] == "not wanted"


def test_a_secret_shows_its_key_alone() -> None:
    def of(value: str) -> dict[str, Any]:
        return {"kind": "Secret", "metadata": {"name": "api"}, "data": {"password": value}}

    [row] = drift(of("YQ=="), of("Yg=="), secret=True)
    assert row["fields"] == ["data.password"]
    assert "Y" not in str(row).replace("Deployment", "")


def test_a_long_list_is_cut() -> None:
    live = deployment(**{f"field{n}": 1 for n in range(MOST + 3)})
    fields = drift(live, deployment(**{f"field{n}": 2 for n in range(MOST + 3)}))[0]["fields"]
    assert len(fields) == MOST + 1
    assert fields[-1] == "and 3 more"
