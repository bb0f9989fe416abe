"""A software bill of materials (CycloneDX 1.6, JSON) of a container's file system."""

from __future__ import annotations

import importlib.metadata
import re
import uuid
from typing import TYPE_CHECKING

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

# Where the bill lies in an image.
PATH = "usr/share/sbom/sbom.cdx.json"


def debian_packages(root: Path, distribution: str) -> Iterator[Component]:
    """Yield a component per package that dpkg has installed below ``root``."""
    status = root / "var/lib/dpkg/status"
    if not status.exists():
        return
    for stanza in status.read_text().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.MULTILINE))
        if not fields.get("Status", "").endswith(" installed"):
            continue
        name, version = fields["Package"], fields["Version"]
        purl = PackageURL(
            type="deb",
            namespace="debian",
            name=name,
            version=version,
            qualifiers={"arch": fields["Architecture"], "distro": distribution},
        )
        yield Component(type=ComponentType.LIBRARY, name=name, version=version, purl=purl, bom_ref=str(purl))


def python_packages(root: Path) -> Iterator[Component]:
    """Yield a component per distribution in a virtual environment ``opt/*`` below ``root``."""
    folders = sorted(str(path) for path in root.glob("opt/*/lib/python3*/site-packages"))
    for distribution in importlib.metadata.distributions(path=folders):
        name, version = distribution.metadata["Name"], distribution.version
        purl = PackageURL(type="pypi", name=name.lower().replace("_", "-"), version=version)
        yield Component(type=ComponentType.LIBRARY, name=name, version=version, purl=purl, bom_ref=str(purl))


def go_module(module: str, version: str) -> Component:
    """Return the component for a Go module."""
    purl = PackageURL.from_string(f"pkg:golang/{module}@{version}")
    return Component(type=ComponentType.LIBRARY, name=module, version=version, purl=purl, bom_ref=str(purl))


def bill(root: Path, *, name: str, version: str, distribution: str, created: datetime, extra: list[Component]) -> str:
    """Return the bill of materials of the file system at ``root`` as JSON; the same input gives the same text.

    Parameters
    ----------
    root:
        Where the file system is mounted.
    name, version:
        Of the image.
    distribution:
        Debian release, for package URLs, e.g. ``debian-13``.
    created:
        Time stamp of the bill.
    extra:
        Components that no package manager knows.
    """
    components = [*debian_packages(root, distribution), *python_packages(root), *extra]
    bom = Bom(components=components, serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{name}@{version}"))
    bom.metadata.timestamp = created
    image = bom.metadata.component = Component(
        type=ComponentType.CONTAINER, name=name, version=version, bom_ref=f"{name}@{version}"
    )
    bom.register_dependency(image, components)
    return JsonV1Dot6(bom).output_as_string(indent=1)
