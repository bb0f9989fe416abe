#!/usr/bin/python
"""Apply a component's Kubernetes objects, and remove what it no longer has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_apply
short_description: Apply all Kubernetes objects of a component, and remove what it no longer has
version_added: 0.1.0
author: Titanium maintainers (@titanium-platform)
description:
  - Applies the objects of one component on the server's side, concurrently and in phases, waits until they are ready,
    and deletes what belonged to the component before and is no longer asked for.
  - "The order is: namespaces and CRDs; then the sync waves (annotation C(argocd.argoproj.io/sync-wave), 0 without it), from
    the lowest to the highest. In a wave first come objects that run nothing, then those with
    C(argocd.argoproj.io/hook=PreSync), then those that run something (Deployments, Jobs and the like).
    A hook, and a wave, must be ready before what follows it is applied."
  - What belongs to a component is recorded by the ApplySet convention (KEP-3659). The parent is the Secret
    C(applyset-<name>) in O(namespace). An object can belong to one component only.
  - A field that somebody changed with C(kubectl) or another tool of O(drift_managers) is drift, which is shown and taken back.
    A field that another controller, or another tool that applies, keeps is a conflict, which is reported.
  - A Job whose unchangeable fields have changed is deleted and made anew, as is any object with the annotation
    C(argocd.argoproj.io/sync-options) containing C(Force=true) or C(Replace=true).
  - Values of Secrets appear neither in diffs nor in messages, results and logs.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
options:
  name:
    description: The component. Together with O(namespace) it names what belongs together.
    type: str
    required: true
  namespace:
    description:
      - Where the component's record lives, and the namespace of objects that need one and name none.
      - It is created if it does not exist and O(definition) does not contain it. Then the last component that
        leaves it removes it as well, if nothing else is left in it.
    type: str
    required: true
  definition:
    description:
      - The objects, as a dictionary, YAML text of any number of documents, or a list of either.
      - Not logged, since it may contain secrets.
    type: raw
    aliases: [resource_definition]
  src:
    description:
      - YAML files with more objects, on the host where the module runs. Where that is the controller,
        a relative path is looked for in the role's and the playbook's C(files) as well.
    type: list
    elements: path
  state:
    description:
      - V(present) makes the component's objects what is asked for.
      - V(absent) deletes everything that belongs to the component, as recorded in the cluster, whatever O(definition) says.
        Custom resources go before their controllers, CRDs and namespaces last. A namespace that holds something else is kept.
        Volumes that a StatefulSet claims go if its C(persistentVolumeClaimRetentionPolicy) says so.
    type: str
    choices: [present, absent]
    default: present
  prune:
    description: Whether to delete objects of the component that are no longer in O(definition).
    type: bool
    default: true
  wait:
    description:
      - Whether to wait until the objects are ready, or gone. CRDs and namespaces are waited for in any case.
      - Deployments, StatefulSets, DaemonSets, Jobs, Pods, claims that bind at once, CRDs, APIServices and namespaces are judged
        by their own rules; every other object by its condition C(Ready) or C(Available), if it reports one.
    type: bool
    default: true
  wait_timeout:
    description: How long to wait, in seconds, for each wave.
    type: int
    default: 300
  field_manager:
    description: The name under which fields are owned.
    type: str
    default: titanium
  force_conflicts:
    description: Whether to take over fields that other managers keep.
    type: bool
    default: false
  drift_managers:
    description:
      - Field managers, as shell patterns, whose updates are work by hand, so that they are drift and not a conflict.
    type: list
    elements: str
    default: ["kubectl", "kubectl-*", "OpenAPI-Generator", "k9s", "Mozilla", "curl"]
  concurrency:
    description: How many requests may be under way at once.
    type: int
    default: 16
attributes:
  check_mode:
    description: >-
      Asks the server what would happen. Also where the namespace, the CRD or the whole cluster does not exist yet:
      what cannot be asked is shown as created.
    support: full
  diff_mode:
    description: Shows of every live object the fields that change, and nothing else.
    support: full
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - PyYAML
notes:
  - Kubernetes 1.27 or newer.
  - While it waits it tells every few seconds what for, where the module runs on the controller.
"""

EXAMPLES = r"""
- name: Apply a component from a template of several documents
  titanium.platform.k8s_apply:
    name: redis
    namespace: titanium-prod
    definition: "{{ lookup('ansible.builtin.template', 'redis.yaml.j2') }}"

- name: Apply rendered files and a Secret, and wait up to ten minutes a wave
  titanium.platform.k8s_apply:
    name: argocd
    namespace: argocd
    src: [install.yaml]
    definition:
      - apiVersion: v1
        kind: Secret
        metadata:
          name: repository
        stringData:
          password: "{{ repository_password }}"
    wait_timeout: 600

- name: Remove everything that belongs to it
  titanium.platform.k8s_apply:
    name: redis
    namespace: titanium-prod
    state: absent
"""

RETURN = r"""
objects:
  description: Every object and what happened, or in check mode would happen, to it.
  returned: always
  type: list
  elements: dict
  contains:
    api_version:
      description: Group and version, such as V(apps/v1).
      type: str
    kind:
      description: Kind.
      type: str
    namespace:
      description: Namespace, empty for an object without one.
      type: str
    name:
      description: Name.
      type: str
    action:
      description: >-
        V(created), V(configured) for changed in place, V(recreated) for deleted and made anew, V(unchanged),
        V(pruned) for deleted as no longer asked for, or V(deleted).
      type: str
counts:
  description: How many objects there are of each action.
  returned: always
  type: dict
  sample: {created: 3, configured: 0, recreated: 0, unchanged: 12, pruned: 0, deleted: 0}
duration:
  description: How long it took, in seconds.
  returned: always
  type: float
  sample: 2.41
conflicts:
  description: The fields that other managers keep.
  returned: on a conflict
  type: list
  elements: dict
  sample: [{kind: Deployment, namespace: web, name: api, manager: autoscaler, fields: [.spec.replicas]}]
not_ready:
  description: The objects that did not become ready, each with the reason its status gives.
  returned: when waiting failed
  type: list
  elements: dict
  sample: [{kind: StatefulSet, namespace: web, name: db, reason: 0 of 1 ready}]
"""

import time
from typing import Any

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.kubernetes.core.plugins.module_utils.k8s.core import AnsibleK8SModule
from ansible_collections.titanium.platform.plugins.module_utils.apply.client import Client
from ansible_collections.titanium.platform.plugins.module_utils.apply.engine import Engine, Options, Redactor, Result
from ansible_collections.titanium.platform.plugins.module_utils.apply.errors import ApplyError
from ansible_collections.titanium.platform.plugins.module_utils.apply.manifest import read

HIDDEN = "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"


def argument_spec() -> dict[str, Any]:
    """Return the module's parameters."""
    return {
        **AUTH_ARG_SPEC,
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "required": True},
        # Keeps it out of the log of this machine, and of the answer if the parameters are wrong.
        "definition": {"type": "raw", "aliases": ["resource_definition"], "no_log": True},
        "src": {"type": "list", "elements": "path"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "prune": {"type": "bool", "default": True},
        "wait": {"type": "bool", "default": True},
        "wait_timeout": {"type": "int", "default": 300},
        "field_manager": {"type": "str", "default": "titanium"},
        "force_conflicts": {"type": "bool", "default": False},
        "drift_managers": {
            "type": "list",
            "elements": "str",
            "default": ["kubectl", "kubectl-*", "OpenAPI-Generator", "k9s", "Mozilla", "curl"],
        },
        "concurrency": {"type": "int", "default": 16},
    }


def main() -> None:
    """Run the module."""
    started = time.monotonic()
    module = AnsibleK8SModule(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params
    # Ansible would take every word of the definition out of the result; what is secret in it we know better.
    module._module.no_log_values = {value for key in ("api_key", "password") if (value := params[key])}
    invocation = {
        "module_args": {
            **params,
            **{
                k: HIDDEN
                for k in ("definition", "resource_definition", "kubeconfig", "api_key", "password")
                if params.get(k)
            },
        }
    }

    result = Result()
    redact = Redactor([])
    failure: dict[str, Any] | None = None
    try:
        if params["concurrency"] < 1 or params["wait_timeout"] < 1:
            raise ApplyError("concurrency and wait_timeout must be at least 1")
        if params["state"] == "present" and params["definition"] is None and not params["src"]:
            raise ApplyError(
                "definition and src are both missing: give the component's objects in one of them (state: absent needs neither)"
            )
        items = read(params["definition"], params["src"] or []) if params["state"] == "present" else []
        redact = Redactor(items)
        options = Options(
            **{
                key: params[key]
                for key in (
                    "name",
                    "namespace",
                    "state",
                    "prune",
                    "wait",
                    "wait_timeout",
                    "field_manager",
                    "force_conflicts",
                )
            },
            drift_managers=tuple(params["drift_managers"]),
            concurrency=params["concurrency"],
            check=module.check_mode,
            diff=module._diff,
        )
        engine = Engine(
            options, lambda: Client(module, options.concurrency, persistent=not options.check), redact, result
        )
        if params["state"] == "present":
            engine.present(items)
        else:
            engine.absent()
    except ApplyError as error:
        failure = {"msg": redact(str(error)), **error.details}
    except Exception as error:  # noqa: BLE001 - a traceback would show what it must not
        place = error.__traceback__
        while place and place.tb_next:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{place.tb_lineno}" if place else "?"
        failure = {
            "msg": redact(f"this is a fault in k8s_apply, please report it: {type(error).__name__}: {error} ({where})")
        }

    for warning in result.warnings:
        module.warn(redact(warning))
    answer = {**result.as_dict(), "duration": round(time.monotonic() - started, 2), "invocation": invocation}
    if failure is not None:
        module.fail_json(**answer, **failure)
    module.exit_json(**answer)


if __name__ == "__main__":
    main()
