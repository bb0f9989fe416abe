"""Variables that no role knows, or of the wrong type."""

from __future__ import annotations

DOCUMENTATION = r"""
name: variable_problems
author: Titanium maintainers
short_description: Variables that no role knows, or of the wrong type
description:
  - Compares every variable whose name begins with the name of a role of this collection with the argument specs of that
    role. Returns one line for each that no role knows, with the nearest name, and for each whose value does not fit.
  - So a misspelt variable stops a run before it changes anything, instead of being ignored.
options:
  _terms:
    description: Nothing.
    required: false
"""

EXAMPLES = r"""
- name: Check the inventory
  ansible.builtin.assert:
    that: query('titanium.platform.variable_problems') | length == 0
"""

RETURN = r"""
_raw:
  description: The problems.
  type: list
  elements: str
"""

import difflib
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.lookup import LookupBase

from ..module_utils import yaml_file

ROLES = Path(__file__).resolve().parents[2] / "roles"


def specifications() -> dict[str, dict[str, Any]]:
    """Return the options of every role, by the role's name."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(ROLES.glob("*/meta/argument_specs.yml")):
        options: dict[str, Any] = {}
        for entry_point in yaml_file.read(path)["argument_specs"].values():
            options.update(entry_point.get("options", {}))
        found[path.parts[-3]] = options
    return found


def role_of(variable: str, roles: dict[str, dict[str, Any]]) -> str | None:
    """Return the role with the longest name that `variable` begins with."""
    fitting = [role for role in roles if variable.startswith(f"{role}_")]
    return max(fitting, key=len, default=None)


def unknown(variable: str, options: dict[str, Any]) -> str | None:
    """Why `variable` is unknown to its role, or None if it is not."""
    if variable in options:
        return None
    near = difflib.get_close_matches(variable, options, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the role knows: {', '.join(sorted(options))}"
    return f"{variable} is unknown. Mend: {hint}"


def misfit(variable: str, value: Any, option: dict[str, Any]) -> str | None:
    """Why `value` does not fit what the role expects of `variable`, or None if it does."""
    relevant = {key: option[key] for key in ("type", "elements", "choices", "options") if key in option}
    result = ArgumentSpecValidator({variable: relevant}).validate({variable: value})
    if not result.error_messages:
        return None
    wanted = option.get("type", "str")
    choices = f", one of {', '.join(map(str, option['choices']))}" if "choices" in option else ""
    return f"{variable} is {value!r}. Mend: it must be of type {wanted}{choices}"


class LookupModule(LookupBase):  # type: ignore[misc]
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:  # noqa: ARG002
        """Return the problems of all variables of the host."""
        roles = specifications()
        found = []
        for name, raw in sorted((variables or {}).items()):
            role = role_of(name, roles)
            if role is None:
                continue
            problem = unknown(name, roles[role])
            if problem is None:
                try:
                    value = self._templar.template(raw)
                except AnsibleError:
                    # Not for now: the role itself says so if it needs it, with the hint its author wrote.
                    continue
                problem = misfit(name, value, roles[role][name])
            if problem:
                found.append(problem)
        return found
