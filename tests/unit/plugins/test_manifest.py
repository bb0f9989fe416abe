"""Reading manifests and putting them in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from plugins.module_utils.apply.errors import ApplyError
from plugins.module_utils.apply.manifest import Item, parse, plan, read, refuse_duplicates

if TYPE_CHECKING:
    from pathlib import Path


def make(kind: str, name: str = "x", api: str = "v1", **annotations: str) -> dict[str, Any]:
    """Return an object; underscores in annotation names stand for what YAML would have."""
    names = {
        "wave": "argocd.argoproj.io/sync-wave",
        "hook": "argocd.argoproj.io/hook",
        "options": "argocd.argoproj.io/sync-options",
    }
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "annotations": {names[key]: value for key, value in annotations.items()}},
    }


def names(items: list[Item]) -> list[str]:
    return [item.name for item in items]


def test_reads_objects_text_and_lists_of_either(tmp_path: Path) -> None:
    file = tmp_path / "more.yml"
    file.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: from-file}\n")
    text = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"
    items = read([make("Secret", "c"), text, [make("Secret", "d")]], [str(file)])
    assert names(items) == ["from-file", "c", "a", "b", "d"]
    assert items[0].origin == f"document 1 of {file}"
    assert items[3].origin == "document 3 of definition[1]"


def test_unfolds_lists_of_kind_list() -> None:
    assert names(read({"apiVersion": "v1", "kind": "List", "items": [make("Secret", "a"), make("Secret", "b")]})) == [
        "a",
        "b",
    ]


def test_leaves_timestamps_and_the_definition_alone() -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {since: 2026-01-01, sign: =}\n"
    assert read(text)[0].body["data"] == {"since": "2026-01-01", "sign": "="}
    definition = make("Secret")
    read(definition)[0].body["metadata"]["namespace"] = "changed"
    assert "namespace" not in definition["metadata"]


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("a: [1\nb: 2", "wrong YAML in definition, line 2"),
        (
            "apiVersion: v1\nkind: ConfigMap\nkind: Secret\nmetadata: {name: a}",
            "line 3, column 1: the key 'kind' is repeated",
        ),
        ([{"kind": "Secret"}], "definition[0]: Secret: apiVersion is missing"),
        ("apiVersion: v1\nmetadata: {name: a}", "document 1 of definition: a: kind is missing"),
        ("---\napiVersion: v1\nkind: Secret", "document 1 of definition: Secret: metadata.name is missing"),
        ([make("Secret"), "just text"], "document 1 of definition[1]: not an object but str"),
        (
            [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": 5}}],
            "metadata.name must be text: put 5 in quotes",
        ),
        (
            [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "labels": {"v": True}}}],
            "the value of v must be text: put True in quotes",
        ),
        (
            [{"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}}],
            "generateName cannot be applied again",
        ),
    ],
)
def test_says_what_is_wrong_and_where(definition: Any, message: str) -> None:
    with pytest.raises(ApplyError) as caught:
        read(definition)
    assert message in str(caught.value)


def test_tells_every_problem_at_once() -> None:
    with pytest.raises(ApplyError) as caught:
        read([{"kind": "Secret"}, {"apiVersion": "v1"}], ["/nowhere.yml"])
    assert len(str(caught.value).splitlines()) == 3
    assert "cannot read /nowhere.yml: No such file or directory" in str(caught.value)


def test_refuses_duplicates_with_both_places() -> None:
    items = read(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"
    )
    with pytest.raises(
        ApplyError, match="Secret a is there twice: document 1 of definition and document 2 of definition"
    ):
        refuse_duplicates(items)


def test_order_is_foundation_then_waves_and_in_a_wave_configuration_hooks_workloads() -> None:
    items = read(
        [
            make("Deployment", "web", "apps/v1"),
            make("Job", "migrate", "batch/v1", hook="PreSync"),
            make("ConfigMap", "settings"),
            make("Deployment", "late", "apps/v1", wave="2"),
            make("Secret", "early", wave="-1"),
            make("CustomResourceDefinition", "things", "apiextensions.k8s.io/v1"),
            make("Thing", "one", "example.com/v1"),
            make("Namespace", "home"),
        ]
    )
    steps = plan(items)
    assert [sorted(names(step.items)) for step in steps] == [
        ["home", "things"],
        ["early"],
        ["one", "settings"],
        ["migrate"],
        ["web"],
        ["late"],
    ]
    # Configuration is not waited for before the hook that reads it, but the hook and each wave are.
    assert [step.settle for step in steps] == [True, True, False, True, True, True]


def test_a_hook_with_a_wave_of_its_own_stays_in_it() -> None:
    steps = plan(
        read([make("Job", "hook", "batch/v1", hook="PreSync", wave="3"), make("Deployment", "web", "apps/v1")])
    )
    assert [names(step.items) for step in steps] == [["web"], ["hook"]]


def test_a_wave_must_be_a_number() -> None:
    with pytest.raises(ApplyError, match="must be a whole number, not 'early'"):
        plan(read(make("Secret", wave="early")))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (make("Job", api="batch/v1"), True),
        (make("Deployment", api="apps/v1"), False),
        (make("Deployment", api="apps/v1", options="Prune=false, Force=true"), True),
        (make("Service", options="Replace=true"), True),
        (make("Service", options="Force=false"), False),
    ],
)
def test_who_may_be_made_anew(body: dict[str, Any], expected: bool) -> None:
    assert read(body)[0].may_recreate is expected


def test_a_text_is_parsed_as_kubernetes_means_it() -> None:
    assert list(parse("a: [=, 2026-01-01]\n---\nb: 1\n")) == [{"a": ["=", "2026-01-01"]}, {"b": 1}]
