"""The machines that Terraform made on Solid Cloud."""

from __future__ import annotations

DOCUMENTATION = r"""
name: solid_cloud
author: Titanium maintainers
short_description: The machines that Terraform made on Solid Cloud
description:
  - Reads the output C(inventory) of C(terraform/environments/solid-cloud), a versioned contract (C(inventory.schema.json)), and makes
    a host of each machine, with the address, port and user of its SSH server.
  - All machines are in the group C(solid_cloud); those of the control plane in C(k3s_servers), workers in C(k3s_agents), which are
    children of C(k3s_cluster).
  - The whole output is the variable C(terraform_inventory) of all hosts, a machine's part of it C(terraform_host) of that host.
  - As long as Terraform has made nothing there are no machines, which is no error.
options:
  plugin:
    description: Names this plugin.
    required: true
    choices: [titanium.platform.solid_cloud]
  project_path:
    description: Folder of the Terraform environment, absolute or beside the inventory file.
    type: str
    default: ../../terraform/environments/solid-cloud
    env:
      - name: TITANIUM_TERRAFORM_DIR
  timeout:
    description: Seconds that reading the outputs may take; the state may lie far away.
    type: int
    default: 60
  existing_cluster:
    description: API server of a cluster that exists already. If it is set there are no machines, and Terraform is not asked.
    type: str
    default: ""
    env:
      - name: K8S_API_SERVER
"""

EXAMPLES = r"""
plugin: titanium.platform.solid_cloud
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

#: Versions of the contract that this reader knows.
VERSIONS = (1,)
GROUPS = {"control-plane": "k3s_servers", "worker": "k3s_agents"}


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]
    """See DOCUMENTATION."""

    NAME = "titanium.platform.solid_cloud"

    def verify_file(self, path: str) -> bool:
        """Return whether `path` may be a file of this plugin; its key `plugin` says for certain."""
        return bool(super().verify_file(path)) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the machines; raise AnsibleParserError if the outputs cannot be read or have another version."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        inventory.add_group("solid_cloud")
        for group in GROUPS.values():
            inventory.add_group(group)
            inventory.add_child(inventory.add_group("k3s_cluster"), group)
        if self.get_option("existing_cluster"):
            return
        project = Path(path).absolute().parent / Path(self.get_option("project_path")).expanduser()
        if not (project / os.environ.get("TF_DATA_DIR", ".terraform")).is_dir():
            self.display.vv(f"{project} is not initialised: there are no machines yet")
            return
        output = self._outputs(project).get("inventory")
        if output is not None:
            self._add(output["value"])

    def _outputs(self, project: Path) -> dict[str, Any]:
        """Return all of Terraform's outputs; those of an empty state are none."""
        try:
            done = subprocess.run(
                ["terraform", "output", "-no-color", "-json"],  # noqa: S607  found on the user's PATH on purpose
                cwd=project,
                capture_output=True,
                text=True,
                check=False,
                timeout=self.get_option("timeout"),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AnsibleParserError(f"cannot read Terraform's outputs of {project}: {error}") from error
        if done.returncode != 0:
            # Terraform frames and wraps its errors.
            words = " ".join(done.stderr.translate(str.maketrans("│╷╵", "   ")).split())
            raise AnsibleParserError(f"cannot read Terraform's outputs of {project}: {words}")
        outputs: dict[str, Any] = json.loads(done.stdout)
        return outputs

    def _add(self, output: dict[str, Any]) -> None:
        version = output.get("schema_version")
        if version not in VERSIONS:
            raise AnsibleParserError(
                f"Terraform's output `inventory` has schema_version {version}, this inventory plugin reads "
                f"{', '.join(map(str, VERSIONS))}. Mend: take terraform/ and plugins/ from the same commit"
            )
        self.inventory.set_variable("all", "terraform_inventory", output)
        for name, host in output["hosts"].items():
            self.inventory.add_host(name, group=GROUPS[host["role"]])
            self.inventory.add_child("solid_cloud", name)
            self.inventory.set_variable(name, "ansible_host", output["public_ip"]["address"])
            self.inventory.set_variable(name, "ansible_port", host["ssh_port"])
            self.inventory.set_variable(name, "ansible_user", output["ssh_user"])
            self.inventory.set_variable(name, "terraform_host", host)
