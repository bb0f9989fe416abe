"""Runs the module k8s_apply and shows, while it waits, what it waits for."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.titanium.platform.plugins.module_utils.apply.drift import rows
from ansible_collections.titanium.platform.plugins.module_utils.apply.progress import VARIABLE

_INTERVAL = 0.5
# Where a play sets this variable, what has drifted is gathered in the host's fact of the same name (playbooks/drift.yml).
_COLLECT = "titanium_drift"


class ActionModule(ActionBase):  # type: ignore[misc]
    """A module cannot speak before it ends; where it runs on the controller it writes lines to a file, shown from here."""

    _supports_check_mode = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module."""
        super().run(tmp, task_vars)
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

    def _find(self, src: Any) -> list[str]:
        paths = src if isinstance(src, list) else str(src).split(",")
        try:
            return [self._find_needle("files", str(path).strip()) for path in paths]
        except AnsibleError as error:
            raise AnsibleActionFail(f"src: {error}") from error


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
