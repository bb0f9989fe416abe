#!/usr/bin/python
"""Ask a Service of the cluster, by way of the API server."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_request
short_description: One request to a Service of the cluster, by way of the API server
version_added: 0.1.0
author: Titanium maintainers (@titanium-platform)
description:
  - Sends a request to a Service through the API server's proxy and returns the JSON that it answers, so that a role can
    see whether what it installed works where nothing but the API server can be reached.
  - The Service must speak HTTP and answer with JSON or with nothing.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
options:
  namespace:
    description: The Service's namespace.
    type: str
    required: true
  service:
    description: The Service.
    type: str
    required: true
  port:
    description: Name or number of its port.
    type: str
    required: true
  path:
    description: Path of the request.
    type: str
    default: /
  query:
    description: Parameters of the request.
    type: dict
    default: {}
  method:
    description: Method of the request.
    type: str
    choices: [GET, POST]
    default: GET
  body:
    description: What to send, as JSON.
    type: raw
attributes:
  check_mode:
    description: Sends what only asks, and nothing else.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
"""

EXAMPLES = r"""
- name: Ask Loki which labels there are
  titanium.platform.service_request:
    namespace: monitoring
    service: loki
    port: http
    path: /loki/api/v1/labels
"""

RETURN = r"""
answer:
  description: What the Service answered; an empty dictionary if it answered with nothing.
  returned: success
  type: dict
"""

import json
from typing import Any
from urllib.parse import quote

from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
from ansible_collections.kubernetes.core.plugins.module_utils.k8s.core import AnsibleK8SModule
from ansible_collections.titanium.platform.plugins.module_utils.apply.client import Client
from ansible_collections.titanium.platform.plugins.module_utils.apply.errors import ApplyError


def argument_spec() -> dict[str, Any]:
    """Return the module's parameters."""
    return {
        **AUTH_ARG_SPEC,
        "namespace": {"type": "str", "required": True},
        "service": {"type": "str", "required": True},
        "port": {"type": "str", "required": True},
        "path": {"type": "str", "default": "/"},
        "query": {"type": "dict", "default": {}},
        "method": {"type": "str", "choices": ["GET", "POST"], "default": "GET"},
        "body": {"type": "raw"},
    }


def proxy_path(namespace: str, service: str, port: str, path: str) -> str:
    """Return the path at the API server that stands for a path of a Service."""
    target = f"{quote(service, safe='')}:{quote(port, safe='')}"
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/services/{target}/proxy/{quote(path.lstrip('/'))}"


def main() -> None:
    """Run the module."""
    module = AnsibleK8SModule(argument_spec=argument_spec(), supports_check_mode=True)
    params = module.params
    asks = params["method"] == "GET"
    if module.check_mode and not asks:
        module.exit_json(changed=False, answer={})
    path = proxy_path(params["namespace"], params["service"], params["port"], params["path"])
    try:
        client = Client(module, concurrency=1, persistent=False)
        answer = client.request(params["method"], path, query=params["query"], body=params["body"])
    except ApplyError as error:
        module.fail_json(msg=f"{params['service']}.{params['namespace']}{params['path']}: {error}")
    except json.JSONDecodeError:
        module.fail_json(msg=f"{params['service']}.{params['namespace']}{params['path']} does not answer with JSON")
    module.exit_json(changed=not asks, answer=answer)


if __name__ == "__main__":
    main()
