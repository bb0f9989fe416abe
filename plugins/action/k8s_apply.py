"""Runs the module k8s_apply and shows, while it waits, what it waits for."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

import yaml
from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.titanium.platform.plugins.module_utils.apply.drift import rows
from ansible_collections.titanium.platform.plugins.module_utils.apply.manifest import parse
from ansible_collections.titanium.platform.plugins.module_utils.apply.progress import VARIABLE

_INTERVAL = 0.5
# Where a play sets this variable, what has drifted is gathered in the host's fact of the same name (playbooks/drift.yml).
_COLLECT = "titanium_drift"

# A folder: objects are written there, one file a component, instead of to a cluster. That is how it is known what an inventory
# runs (playbooks/bundle.yml).
_RENDER = "TITANIUM_RENDER_TO"


class ActionModule(ActionBase):  # type: ignore[misc]
    """A module cannot speak before it ends; where it runs on the controller it writes lines to a file, shown from here."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module."""
        super().run(tmp, task_vars)
        if folder := os.environ.get(_RENDER):
            return self._render(Path(folder))
        if self._connection.transport != "local":
            return self._module(dict(self._task.args), task_vars)
        args = {**self._task.args}
        if args.get("src"):
            args["src"] = self._find(args["src"])
        with tempfile.TemporaryDirectory(prefix="k8s_apply-") as folder:
            path = Path(folder, "progress")
            path.touch()
            self._task.environment = [*(self._task.environment or []), {VARIABLE: str(path)}]
            over = threading.Event()
            reader = threading.Thread(target=_show, args=(path, over), daemon=True)
            reader.start()
            try:
                return self._module(args, task_vars)
            finally:
                over.set()
                reader.join()

    def _module(self, args: dict[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(module_args=args, task_vars=task_vars)
        if task_vars and _COLLECT in task_vars and not result.get("failed"):
            known = (task_vars.get("ansible_facts") or {}).get(_COLLECT, [])
            found = [{"component": args.get("name"), **row} for row in rows(result.get("diff") or [])]
            result["ansible_facts"] = {_COLLECT: [*known, *found]}
        return result

    def _render(self, folder: Path) -> dict[str, Any]:
        """Write the component's objects, without Secrets, to a file."""
        args = self._task.args
        if args.get("state", "present") == "present":
            sources = [args.get("definition") or args.get("resource_definition")]
            sources += [
                Path(path).read_text(encoding="utf-8") for path in (self._find(args["src"]) if args.get("src") else [])
            ]
            objects = [item for source in sources for item in _objects(source) if item.get("kind") != "Secret"]
            if objects:
                path = folder / f"{args['namespace']}_{args['name']}.yaml"
                path.write_text(yaml.safe_dump_all(objects, sort_keys=False), encoding="utf-8")
        return {"changed": False, "rendered": True}

    def _find(self, src: Any) -> list[str]:
        paths = src if isinstance(src, list) else str(src).split(",")
        try:
            return [self._find_needle("files", str(path).strip()) for path in paths]
        except AnsibleError as error:
            raise AnsibleActionFail(f"src: {error}") from error


def _objects(source: Any) -> list[dict[str, Any]]:
    """Return the objects of a definition: a dictionary, YAML text, or a list of either."""
    if isinstance(source, str):
        # Ansible's own kind of string is none that YAML's loader knows.
        return [item for item in parse(str(source)) if item]
    if isinstance(source, list):
        return [item for part in source for item in _objects(part)]
    # As plain data: Ansible's own types are none that YAML knows.
    return [json.loads(json.dumps(source))] if source else []


def _show(path: Path, over: threading.Event) -> None:
    display = Display()
    with contextlib.suppress(OSError), path.open(encoding="utf-8") as file:
        rest = ""
        while True:
            last = over.wait(_INTERVAL)
            *lines, rest = (rest + file.read()).split("\n")
            for line in lines:
                display.display(f"  {line}", color=constants.COLOR_VERBOSE)
            if last:
                return
