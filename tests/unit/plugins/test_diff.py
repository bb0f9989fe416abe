"""Diffs show what changes, and no secret."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.apply.diff import changes, content, dump, mask, overlay, render
from plugins.module_utils.apply.engine import Redactor
from plugins.module_utils.apply.manifest import read

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "a", "b"]), inner, max_size=3),
    max_leaves=12,
)


def deployment(image: str = "a:1", replicas: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "namespace": "n",
            "uid": "u",
            "resourceVersion": "1",
            "managedFields": [{}],
            "generation": 2,
        },
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{"name": "side", "image": "s"}, {"name": "web", "image": image}]}},
        },
        "status": {"readyReplicas": 1},
    }


def test_shows_only_the_fields_that_change_and_where_they_are() -> None:
    entry = render("Deployment n/web", deployment(), deployment("a:2", 3), secret=False)
    assert (
        entry["before"]
        == "spec:\n  replicas: 1\n  template:\n    spec:\n      containers:\n      - name: web\n        image: a:1\n"
    )
    assert entry["after"] == entry["before"].replace("a:1", "a:2").replace("replicas: 1", "replicas: 3")


def test_what_the_server_writes_is_no_change() -> None:
    after = deployment()
    after["metadata"].update(resourceVersion="2", generation=3, managedFields=[])
    after["status"] = {}
    assert content(deployment()) == content(after)


def test_shows_a_line_of_a_file_as_a_line() -> None:
    assert dump({"data": {"file": "one\ntwo\n"}}) == "data:\n  file: |\n    one\n    two\n"


def test_new_and_lost_entries_of_named_lists() -> None:
    before = [{"name": "a", "v": 1}, {"name": "b", "v": 1}]
    after = [{"name": "b", "v": 1}, {"name": "c", "v": 1}]
    assert changes(before, after) == ([{"name": "a", "v": 1}], [{"name": "c", "v": 1}])


@given(values, values)
def test_changes_of_equals_are_nothing_and_of_others_something(before: Any, after: Any) -> None:
    left, right = changes({"x": before}, {"x": after})
    assert ((left, right) == ({}, {})) == (json.dumps(before) == json.dumps(after) or before == after)


@given(
    st.dictionaries(st.text(min_size=1, max_size=5), st.text(min_size=8, max_size=20)), st.text(min_size=8, max_size=20)
)
def test_a_secrets_values_cannot_be_seen(data: dict[str, str], other: str) -> None:
    def secret(values: dict[str, str]) -> dict[str, Any]:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": encoded}

    before, after = mask(secret(data), secret(dict.fromkeys(data, other)))
    for side in (before, after):
        assert set(side.get("data", {}).values()) <= {"<secret>", "<secret, before>", "<secret, changed>"}


def test_which_keys_of_a_secret_change_can_be_seen() -> None:
    meta = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}
    entry = render(
        "Secret s",
        {**meta, "data": {"a": "MQ==", "b": "MQ==", "c": "MQ=="}},
        {**meta, "data": {"a": "Mg==", "b": "MQ==", "d": "MQ=="}},
        secret=True,
    )
    assert entry["before"] == "data:\n  a: <secret, before>\n  c: <secret>\n"
    assert entry["after"] == "data:\n  a: <secret, changed>\n  d: <secret>\n"


def test_string_data_and_the_last_applied_annotation_are_hidden_as_well() -> None:
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{hunter2}"}},
        "stringData": {"password": "hunter2"},
    }
    assert "hunter2" not in json.dumps(render("Secret s", None, body, secret=True))
    assert "hunter2" not in json.dumps(render("Secret s", body, body, secret=True))


def test_overlay_keeps_what_is_not_declared() -> None:
    live = {"spec": {"a": 1, "list": [{"name": "x", "default": 1, "v": 1}]}}
    assert overlay(live, {"spec": {"list": [{"name": "x", "v": 2}]}}) == {
        "spec": {"a": 1, "list": [{"name": "x", "default": 1, "v": 2}]}
    }


def test_redacts_every_spelling_of_a_secret() -> None:
    items = read(
        [
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "s"},
                "data": {"a": base64.b64encode(b"hunter2hunter2").decode()},
            },
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}, "stringData": {"n": 123456789}},
        ]
    )
    redact = Redactor(items)
    encoded = base64.b64encode(b"hunter2hunter2").decode()
    assert redact(f"got hunter2hunter2, {encoded} and Value:123456789") == "got <secret>, <secret> and Value:<secret>"
    assert redact("nothing of interest") == "nothing of interest"
