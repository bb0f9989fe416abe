"""Real Terraform, the provider double from a mirror, and a cloud of its own for each test."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.doubles.cloudstack import mirror
from tests.doubles.cloudstack.api.cloud import Cloud
from tests.doubles.cloudstack.api.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[3]
ENVIRONMENT = Path("environments/solid-cloud")
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE3ZbC0H0bT0m9mB8lq1cVdT5o9y0sXg2r7Q4m1v8a2K operator@example.com"
SECRET_KEY = "s3cr3t-of-the-account"

#: A small cluster: one control-plane node, two workers with data.
VARIABLES: dict[str, Any] = {
    "zone": "zone-1",
    "template": "Ubuntu 24.04",
    "ssh_public_key": PUBLIC_KEY,
    "admin_cidrs": ["203.0.113.0/24"],
    "control_plane": {"service_offering": "Medium Instance"},
    "workers": {"service_offering": "Large Instance"},
}


@dataclass
class Run:
    """What a command did: exit status, output, and everything as one line for matching wrapped messages."""

    status: int
    output: str

    @property
    def flat(self) -> str:
        """The output with Terraform's frames and line breaks taken out."""
        return re.sub(r"\s+", " ", re.sub(r"[│╷╵]", " ", self.output))


@dataclass
class Workspace:
    """A copy of terraform/ with variables of its own."""

    folder: Path
    environment: dict[str, str]
    variables: dict[str, Any] = field(default_factory=lambda: dict(VARIABLES))

    @property
    def root(self) -> Path:
        """The environment's folder."""
        return self.folder / ENVIRONMENT

    def run(self, *command: str, cwd: Path | None = None) -> Run:
        """Run a command in the environment's folder, with the variables written down."""
        (self.root / "terraform.tfvars.json").write_text(json.dumps(self.variables))
        done = subprocess.run(
            command,
            cwd=cwd or self.root,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return Run(done.returncode, done.stdout)

    def terraform(self, verb: str, *arguments: str) -> Run:
        """Run terraform, whatever comes of it."""
        return self.run("terraform", verb, "-no-color", *arguments)

    def apply(self, *arguments: str) -> Run:
        """Apply, whatever comes of it."""
        return self.terraform("apply", "-auto-approve", "-input=false", *arguments)

    def destroy(self, *arguments: str) -> Run:
        """Destroy, whatever comes of it."""
        return self.terraform("destroy", "-auto-approve", "-input=false", *arguments)

    def must_apply(self, *arguments: str) -> Run:
        """Apply, and it must succeed."""
        done = self.apply(*arguments)
        assert done.status == 0, done.output
        return done

    def must_be_settled(self) -> None:
        """A plan must find nothing to do."""
        done = self.terraform("plan", "-input=false", "-detailed-exitcode")
        assert done.status == 0, done.output

    def planned(self) -> dict[str, list[str]]:
        """What a plan would do: action to addresses."""
        plan = self.folder / "test.tfplan"
        done = self.terraform("plan", "-input=false", f"-out={plan}")
        assert done.status == 0, done.output
        shown = json.loads(self.run("terraform", "show", "-json", str(plan)).output)
        actions: dict[str, list[str]] = {}
        for change in shown["resource_changes"]:
            actions.setdefault("+".join(change["change"]["actions"]), []).append(change["address"])
        actions.pop("no-op", None)
        return {action: sorted(addresses) for action, addresses in actions.items()}

    def inventory(self) -> dict[str, Any]:
        """The output that inventories read."""
        found: dict[str, Any] = json.loads(self.run("terraform", "output", "-json", "inventory").output)
        return found

    def addresses(self) -> list[str]:
        """What the state knows."""
        return self.terraform_lines("state", "list")

    def terraform_lines(self, *command: str) -> list[str]:
        """Output lines of a command that takes no -no-color."""
        return self.run("terraform", *command).output.split()

    def allow_deleting_data(self) -> None:
        """Do what the documentation says lets data volumes go."""
        example = self.folder / "modules/compute/delete-data_override.tf.example"
        shutil.copy(example, example.with_suffix(""))


@pytest.fixture(scope="session")
def terraform_config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Terraform's configuration: the mirror with the provider double, nothing else."""
    if shutil.which("terraform") is None:
        pytest.fail(
            "terraform is not on the PATH; mend: https://developer.hashicorp.com/terraform/install (1.10 or newer)"
        )
    folder = tmp_path_factory.mktemp("mirror")
    config = mirror.build(folder)
    with mirror.warmed(folder):
        yield config


@pytest.fixture(scope="session")
def initialised(terraform_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of terraform/ after `terraform init`, with the state in a file instead of a bucket."""
    folder = tmp_path_factory.mktemp("initialised") / "terraform"
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "terraform"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, tracked.split("\0")):
        target = folder / Path(name).relative_to("terraform")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    (folder / ENVIRONMENT / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
    done = Workspace(folder, clean_environment(terraform_config)).terraform("init", "-input=false")
    assert done.status == 0, done.output
    return folder


def clean_environment(config: Path) -> dict[str, str]:
    """The environment without anything of the user's that Terraform or the provider would read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "CLOUDSTACK_", "AWS_"))}
    return {**kept, "TF_CLI_CONFIG_FILE": str(config), "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}


@pytest.fixture
def cloud() -> Cloud:
    """A cloud with an empty account."""
    return Cloud("key-of-the-account", SECRET_KEY)


@contextmanager
def connected(source: Path, config: Path, cloud: Cloud, folder: Path) -> Iterator[Workspace]:
    """A working copy of `source` that is connected to the cloud while the context lasts."""
    shutil.copytree(source, folder / "terraform", symlinks=True)
    with serve(cloud) as url:
        yield Workspace(
            folder / "terraform",
            {
                **clean_environment(config),
                "CLOUDSTACK_API_URL": url,
                "CLOUDSTACK_API_KEY": cloud.api_key,
                "CLOUDSTACK_SECRET_KEY": cloud.secret_key,
            },
        )


@pytest.fixture
def workspace(initialised: Path, terraform_config: Path, cloud: Cloud, tmp_path: Path) -> Iterator[Workspace]:
    """A working copy that is connected to the cloud."""
    with connected(initialised, terraform_config, cloud, tmp_path) as made:
        yield made
