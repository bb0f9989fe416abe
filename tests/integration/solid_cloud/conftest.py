"""The inventory of Solid Cloud, with real Terraform and a cloud of its own for each test."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.terraform.conftest import (
    PUBLIC_KEY,
    ROOT,
    VARIABLES,
    cloud,
    initialised,
    terraform_config,
    workspace,
)

if TYPE_CHECKING:
    from tests.integration.terraform.conftest import Workspace

__all__ = ["cloud", "initialised", "terraform_config", "workspace"]

INVENTORY = "inventories/solid-cloud"
#: Variables of the environment that would change what a test does.
FOREIGN = ("K8S_", "TITANIUM_", "ANSIBLE_", "MOLECULE_")


@dataclass(frozen=True)
class Play:
    """A finished ansible program."""

    status: int
    output: str

    @property
    def flat(self) -> str:
        """The output without Ansible's line breaks."""
        return re.sub(r"\s+", " ", self.output)

    def recap(self, what: str) -> int:
        """How many tasks of all hosts ended as `what`."""
        return sum(int(n) for n in re.findall(rf"\b{what}=(\d+)", self.output))


@dataclass
class Site:
    """An operator's machine: the repository, the inventory filled in, the account's keys in the environment."""

    environment: dict[str, str]
    variables: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)
    inventory: str = INVENTORY
    root: Path = ROOT

    def run(self, program: str, *arguments: str) -> Play:
        """Run one of Ansible's programs, whatever comes of it."""
        done = subprocess.run(
            [Path(sys.executable).parent / program, *arguments],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Play(done.returncode, done.stdout)

    def must_run(self, program: str, *arguments: str) -> Play:
        """Run one of Ansible's programs, which must succeed."""
        done = self.run(program, *arguments)
        assert done.status == 0, done.output
        return done

    def play(self, playbook: str, *arguments: str) -> Play:
        """Run a playbook, whatever comes of it."""
        extra = {"solid_cloud_variables": self.variables, **self.extra}
        return self.run("ansible-playbook", "-i", self.inventory, playbook, "-e", json.dumps(extra), *arguments)

    def must(self, playbook: str, *arguments: str) -> Play:
        """Run a playbook, which must succeed."""
        done = self.play(playbook, *arguments)
        assert done.status == 0, done.output
        return done

    def listed(self) -> dict[str, Any]:
        """What ansible-inventory lists."""
        output = self.must_run("ansible-inventory", "-i", self.inventory, "--list").output
        # What a plugin brings is data, never a template; the list marks it so.
        inventory: dict[str, Any] = json.loads(output, object_hook=lambda found: found.get("__ansible_unsafe", found))
        return inventory

    def resolved(self, host: str, *names: str) -> dict[str, Any]:
        """Variables of a host as its tasks see them."""
        wanted = ", ".join(f"'{name}': {name}" for name in names)
        extra = json.dumps(self.extra)
        message = f"msg={{{{ {{{wanted}}} }}}}"
        shown = self.must_run(
            "ansible", "-i", self.inventory, host, "-e", extra, "-m", "ansible.builtin.debug", "-a", message
        )
        variables: dict[str, Any] = json.loads(shown.output.split("=>", 1)[1])["msg"]
        return variables


def operator(environment: dict[str, str], home: Path) -> Site:
    """A machine with that environment, without what is its user's."""
    key = home / "id_ed25519"
    key.with_suffix(".pub").write_text(PUBLIC_KEY + "\n")
    kept = {name: value for name, value in environment.items() if not name.startswith(FOREIGN)}
    own = {
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "TITANIUM_SSH_KEY": str(key),
        "XDG_STATE_HOME": str(home / "state"),
    }
    return Site({**kept, **own}, json.loads(json.dumps(VARIABLES)))


@pytest.fixture
def site(workspace: Workspace, tmp_path: Path) -> Site:
    """The inventory, on a cloud and a Terraform environment of its own."""
    made = operator(workspace.environment, tmp_path)
    made.environment["TITANIUM_TERRAFORM_DIR"] = str(workspace.root)
    return made


@pytest.fixture
def bare_site(tmp_path: Path) -> Site:
    """The inventory without a cloud, or anything that Terraform would need."""
    made = operator(dict(os.environ), tmp_path)
    made.environment["TITANIUM_TERRAFORM_DIR"] = str(tmp_path / "no-terraform")
    return made
