#!/usr/bin/python
"""Build a container image with buildah and keep it as an archive."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_build
author: Titanium maintainers
short_description: Build a container image and keep it as an archive
version_added: 0.1.0
description:
  - Builds an image with buildah, without a daemon, adds a bill of materials (CycloneDX) and OCI labels, and writes it as an OCI archive.
  - A build sees the files that the recipe names and nothing else.
    APT's and pip's configuration of this host (mirrors, proxies, certificate authorities) is used and never gets into the image.
  - Does nothing when the archive, or the image in O(storage), is there already.
requirements: [buildah, mmdebstrap, cyclonedx-python-lib]
options:
  image:
    description: How the image is made, as from P(titanium.platform.built_image#lookup) with C(details=true).
    type: dict
    required: true
  storage:
    description: Folder for buildah's own storage.
    type: path
    required: true
  archive:
    description: File to write. Without it the image stays in O(storage), for others to stand on.
    type: path
  go:
    description: The Go command, which tells what modules a binary was made of. Without it the bill names the main module alone.
    type: path
  wheels:
    description: Folder in which fetched Python packages are kept.
    type: path
    required: true
  mirror:
    description: Address of a Debian mirror; by default the first one of this host's APT.
    type: str
  security_mirror:
    description: Address of a Debian security mirror; by default the first one of this host's APT.
    type: str
  source:
    description: Address of the source, for the label C(org.opencontainers.image.source).
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Says whether it would build.
"""

EXAMPLES = r"""
- name: Build Redis
  titanium.platform.image_build:
    image: "{{ query('titanium.platform.built_image', 'redis', details=true) | last }}"
    storage: /var/cache/build/storage
    wheels: /var/cache/build/wheels
    archive: /var/cache/build/redis.tar
"""

RETURN = r"""
reference:
  description: Full reference of the image.
  type: str
  returned: always
seconds:
  description: How long the build took.
  type: float
  returned: changed
megabytes:
  description: Size of the archive.
  type: float
  returned: when an archive was written
"""

import contextlib
import datetime
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from packaging.markers import Marker

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from ansible_collections.titanium.platform.plugins.module_utils import sbom

    SBOM_ERROR = None
except ImportError as error:
    SBOM_ERROR = error

# How much of a failed command's output is shown.
TAIL = 40


class BuildError(Exception):
    """A build went wrong; the text says which step and shows the end of its output."""


def run(step: str, *command: str | Path) -> str:
    """Run ``command`` and return its standard output; raise BuildError with the end of all it printed."""
    try:
        process = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise BuildError(
            f"{step}: there is no command {error.filename!r} on this host. Mend: apt-get install {error.filename}"
        ) from error
    if process.returncode != 0:
        lines = (process.stdout + process.stderr).splitlines()
        raise BuildError("\n".join([f"{step} failed ({command[0]} ended with {process.returncode}):", *lines[-TAIL:]]))
    return process.stdout


def applicable(requirements: str, python: str) -> str:
    """Return what of a compiled requirements file holds for another version of Python, without environment markers."""
    environment = {"python_version": python, "python_full_version": f"{python}.0"}
    lines = []
    for line in requirements.replace("\\\n", " ").splitlines():
        requirement, semicolon, rest = line.partition(" ; ")
        if semicolon:
            marker, hashes, digests = rest.partition(" --hash")
            if not Marker(marker).evaluate(environment):
                continue
            line = f"{requirement} {hashes}{digests}"
        lines.append(line)
    return "\n".join(lines) + "\n"


class Apt:
    """What this host's APT knows of mirrors and of ways to reach them."""

    def __init__(self, release: str, mirror: str | None, security_mirror: str | None) -> None:
        self.release = release
        self.mirror = mirror or self._mirror("Debian")
        self.security_mirror = security_mirror or self._mirror("Debian-Security") or ""
        if not self.mirror:
            raise BuildError(
                "APT on this host knows no Debian mirror. Mend: run apt-get update, or set images_debian_mirror"
            )

    @staticmethod
    def _mirror(label: str) -> str:
        targets = run(
            "reading APT's sources", "apt-get", "indextargets", "--format", "$(REPO_URI)",
            "Created-By: Packages", "Origin: Debian", f"Label: {label}",
        )  # fmt: skip
        return (targets.splitlines() or [""])[0]

    def write_sources(self, path: Path) -> None:
        """Write a sources.list for the release."""
        keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
        lines = [f"deb {keyring} {self.mirror} {suite} main" for suite in (self.release, f"{self.release}-updates")]
        if self.security_mirror:
            lines.append(f"deb {keyring} {self.security_mirror} {self.release}-security main")
        path.write_text("\n".join(lines) + "\n")

    @staticmethod
    def write_configuration(path: Path, authorities: Path | None) -> None:
        """Write how to reach mirrors (proxies, certificates, time-outs), in apt.conf's form."""
        lines = run("reading APT's configuration", "apt-config", "dump", "Acquire").splitlines()
        lines = [line for line in lines if not line.startswith("Acquire::IndexTargets")]
        if authorities:
            lines.append(f'Acquire::https::CAInfo "{authorities}";')
        path.write_text("\n".join(lines) + "\n")


class Build:
    """The build of one image.

    Parameters
    ----------
    parameters:
        The module's.
    work:
        An empty folder that is removed afterwards.
    """

    def __init__(self, parameters: dict[str, Any], work: Path) -> None:
        self.parameters = parameters
        self.image: dict[str, Any] = parameters["image"]
        self.work = work
        self.day = datetime.datetime.fromisoformat(self.image["refreshed"]).replace(tzinfo=datetime.UTC)
        storage = Path(parameters["storage"])
        self.buildah: list[str | Path] = ["buildah", "--root", storage, "--runroot", storage / "run"]

    def exists(self) -> bool:
        """Tell whether the archive, or else the image, is there."""
        if self.parameters["archive"]:
            return Path(self.parameters["archive"]).exists()
        return self.reference_exists(self.image["reference"])

    def reference_exists(self, reference: str) -> bool:
        """Tell whether the storage has an image."""
        if not Path(self.parameters["storage"]).exists():
            return False
        command = [*self.buildah, "inspect", "--type", "image", reference]
        process = subprocess.run(command, capture_output=True, check=False)  # noqa: S603
        return process.returncode == 0

    def run(self) -> None:
        """Build the image and write the archive."""
        storage = Path(self.parameters["storage"])
        storage.mkdir(parents=True, exist_ok=True)
        # Another run must not clean up what this one is at work on; the role's own clean-up takes the same lock.
        with (storage / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._run()

    def _run(self) -> None:
        if not self.reference_exists(self.image["reference"]):
            if self.image["packages"]:
                context, arguments = self.bootstrap()
            else:
                context, arguments = self.stage()
            plain = f"{self.image['reference']}-plain"
            self.build(plain, context, arguments)
            self.finish(plain)
        if self.parameters["archive"]:
            self.write_archive()

    def bootstrap(self) -> tuple[Path, list[str | Path]]:
        """Make a base system out of Debian packages; return a context with it."""
        context = self.work / "context"
        context.mkdir()
        apt = Apt(self.image["debian"], self.parameters["mirror"], self.parameters["security_mirror"])
        apt.write_sources(self.work / "sources.list")
        apt.write_configuration(self.work / "apt.conf", None)
        run(
            "bootstrapping Debian", "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
            f"--include={','.join(self.image['packages'])}",
            f"--aptopt={self.work / 'apt.conf'}",
            # Nobody reads manuals in a container; licences stay.
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "--dpkgopt=path-include=/usr/share/doc/*/copyright",
            # How this host reaches its mirror is this host's own affair.
            '--customize-hook=rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*',
            '--customize-hook=rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/etc/hostname "$1"/etc/resolv.conf "$1"/etc/machine-id',
            self.image["debian"], context / "base.tar", self.work / "sources.list",
        )  # fmt: skip
        (context / "Dockerfile").write_text(
            'FROM scratch\nADD base.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nCMD ["/bin/sh"]\n'
        )
        return context, []

    def stage(self) -> tuple[Path, list[str | Path]]:
        """Copy what the recipe names into a context of its own; return it and arguments for the build."""
        context = self.work / "context"
        for name in self.image["files"]:
            target = context / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(self.image["context"], name), target)
            # Not what this user's umask happens to be.
            target.chmod(0o755 if os.access(Path(self.image["context"], name), os.X_OK) else 0o644)
        for folder in [context, *(path for path in context.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        for name, path in self.image["binaries"].items():
            shutil.copyfile(path, context / name)
            (context / name).chmod(0o755)
        if self.image["sources"]:
            self.module_files(context)

        arguments: list[str | Path] = [
            f"--build-arg=BASE_IMAGE={self.image['base']}",
            f"--build-arg=VERSION={self.image['digest']}",
        ]
        for key, value in self.image["args"].items():
            arguments.append(f"--build-arg={key}={value}")
        if self.image["target"]:
            arguments.append(f"--target={self.image['target']}")
        arguments += self.apt()
        if self.image["wheels"]:
            arguments += self.wheels()
        return context, arguments

    def module_files(self, context: Path) -> None:
        """Fetch the Go module of the image's programs, check it against its pinned checksum, and copy files of it."""
        if not self.parameters["go"]:
            raise BuildError("files of a Go module are wanted and no Go is given. Mend: set the module's option go")
        answer = run(
            "fetching the Go module", "env", "-C", self.image["module_pin"], f"GOMODCACHE={self.work / 'modules'}",
            "GOFLAGS=-mod=readonly -modcacherw", "GOTOOLCHAIN=local", "GOWORK=off",
            self.parameters["go"], "mod", "download", "-json", self.image["module"],
        )  # fmt: skip
        module = Path(json.loads(answer)["Dir"])
        for name, source in self.image["sources"].items():
            (context / name).write_bytes((module / source).read_bytes())
            (context / name).chmod(0o644)

    def apt(self) -> list[str | Path]:
        """Return arguments that let APT in the build use this host's mirrors and ways."""
        apt = Apt(self.image["debian"], self.parameters["mirror"], self.parameters["security_mirror"])
        sources, configuration = self.work / "sources.list.d", self.work / "apt.conf.d"
        sources.mkdir()
        configuration.mkdir()
        apt.write_sources(sources / "host.list")
        authorities = Path("/etc/ssl/certs/ca-certificates.crt")
        inside = Path("/etc/apt/apt.conf.d/authorities.pem")
        if authorities.exists():
            shutil.copyfile(authorities, configuration / inside.name)
        apt.write_configuration(configuration / "host.conf", inside if authorities.exists() else None)
        # Packages may bring configuration of their own, so this folder is writable; it is gone after the build.
        return [
            f"--volume={sources}:/etc/apt/sources.list.d:ro",
            f"--volume={configuration}:/etc/apt/apt.conf.d",
        ]

    def wheels(self) -> list[str | Path]:
        """Fetch Python packages with this host's pip and configuration; return arguments that make the build's pip find them."""
        wheels = Path(self.parameters["wheels"])
        wheels.mkdir(parents=True, exist_ok=True)
        python = self.image["wheels"]["python"]
        requirements = self.work / "requirements.txt"
        # pip would judge the markers by this host's version of Python.
        requirements.write_text(
            applicable(Path(self.image["context"], self.image["wheels"]["requirements"]).read_text(), python)
        )
        run(
            "fetching Python packages", sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--no-input", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--implementation", "cp",
            "--python-version", python, "--dest", wheels, "--requirement", requirements,
        )  # fmt: skip
        configuration = self.work / "pip.conf"
        configuration.write_text("[global]\nno-index = true\nfind-links = /mnt\ndisable-pip-version-check = true\n")
        return [f"--volume={wheels}:/mnt:ro", f"--volume={configuration}:/etc/pip.conf:ro"]

    def build(self, tag: str, context: Path, arguments: list[str | Path]) -> None:
        """Run the Dockerfile."""
        run(
            f"building {self.image['name']}", *self.buildah, "build", "--isolation=chroot", "--network=host", "--format=oci",
            "--layers", "--pull-never", f"--timestamp={int(self.day.timestamp())}", f"--file={context / self.image['dockerfile']}",
            *arguments, f"--tag={tag}", context,
        )  # fmt: skip

    @contextlib.contextmanager
    def container(self, image: str) -> Iterator[tuple[str, Path]]:
        """Yield a working container of ``image`` and where its file system is mounted."""
        name = run("opening the image", *self.buildah, "from", "--pull-never", image).strip()
        try:
            yield name, Path(run("mounting the image", *self.buildah, "mount", name).strip())
        finally:
            run("closing the image", *self.buildah, "rm", name)

    def finish(self, plain: str) -> None:
        """Add the bill of materials and the labels, and give the image its reference."""
        image = self.image
        with self.container(plain) as (container, root):
            text = sbom.bill(
                root, name=image["name"], version=image["digest"], distribution=f"debian-{image['debian']}", created=self.day, extra=self.go_modules()
            )  # fmt: skip
            path = root / sbom.PATH
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            labels = {
                "org.opencontainers.image.title": image["title"],
                "org.opencontainers.image.version": image["version"],
                "org.opencontainers.image.revision": image["digest"],
                "org.opencontainers.image.source": self.parameters["source"],
                "org.opencontainers.image.licenses": image["licenses"],
                "org.opencontainers.image.created": self.day.isoformat(),
                "org.opencontainers.image.base.name": image["base"],
                "org.cyclonedx.bom": f"/{sbom.PATH}",
            }
            options = [f"--label={key}={value}" for key, value in labels.items() if value]
            run("labelling", *self.buildah, "config", *options, container)
            run(
                "committing", *self.buildah, "commit", "--quiet", "--format=oci",
                f"--timestamp={int(self.day.timestamp())}", container, image["reference"],
            )  # fmt: skip
        run("dropping the image without labels", *self.buildah, "rmi", plain)

    def go_modules(self) -> list[Any]:
        """Return what the image's binary was made of, if it carries one."""
        image = self.image
        if not image["binaries"]:
            return []
        modules = {image["module"]: f"v{image['version']}"}
        if self.parameters["go"] and Path(self.parameters["go"]).exists():
            for path in image["binaries"].values():
                modules |= self.modules_of(path)
        return [sbom.go_module(module, version) for module, version in modules.items()]

    def modules_of(self, path: str) -> dict[str, str]:
        """Return the version of every module that a Go binary was made of, as noted in it."""
        modules: dict[str, str] = {}
        previous = ""
        for line in run("reading the binary's modules", self.parameters["go"], "version", "-m", path).splitlines():
            what, *rest = line.strip().split("\t")
            if what == "=>":  # stands in for the line before
                modules.pop(previous)
            if what in ("dep", "=>"):
                previous = rest[0]
                modules[previous] = rest[1]
        return modules

    def write_archive(self) -> None:
        """Write the image as an OCI archive, whole or not at all."""
        archive = Path(self.parameters["archive"])
        archive.parent.mkdir(parents=True, exist_ok=True)
        partial = archive.with_name(f".{archive.name}.{os.getpid()}")
        try:
            run(
                "writing the archive", *self.buildah, "push", "--quiet", "--compression-format=zstd",
                self.image["reference"], f"oci-archive:{partial}:{self.image['reference']}",
            )  # fmt: skip
            partial.rename(archive)
        finally:
            partial.unlink(missing_ok=True)


def main() -> None:
    """Entry point for Ansible; see DOCUMENTATION."""
    module = AnsibleModule(
        argument_spec={
            "image": {"type": "dict", "required": True},
            "storage": {"type": "path", "required": True},
            "archive": {"type": "path"},
            "go": {"type": "path"},
            "wheels": {"type": "path", "required": True},
            "mirror": {"type": "str"},
            "security_mirror": {"type": "str"},
            "source": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    result: dict[str, Any] = {"changed": False, "reference": module.params["image"]["reference"]}
    if SBOM_ERROR:
        module.fail_json(msg=missing_required_lib("cyclonedx-python-lib"), exception=str(SBOM_ERROR))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="titanium-image-") as work:
        Path(work).chmod(0o755)
        build = Build(module.params, Path(work))
        try:
            if not build.exists():
                result["changed"] = True
                if not module.check_mode:
                    build.run()
                    result["seconds"] = round(time.monotonic() - started, 1)
        except BuildError as error:
            module.fail_json(msg=f"image {build.image['name']}: {error}", **result)
    archive = module.params["archive"]
    if archive and Path(archive).exists():
        result["megabytes"] = round(Path(archive).stat().st_size / 1e6, 1)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
