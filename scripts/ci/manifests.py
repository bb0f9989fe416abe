#!/usr/bin/env python3
"""Render overlays and validate what comes out against the schemas of several Kubernetes versions.

usage: manifests.py [--kubernetes VERSION ...] [FOLDER ...]    no FOLDER means every overlay of gitops/

Unknown fields are errors, too: a misspelt one would be left out in silence. Kinds of the groups in CUSTOM have no schema
here and are counted; any other kind without a schema is an error.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

ROOT = Path(__file__).resolve().parents[2]
KUSTOMIZE = Path(sys.executable).parent / "kubectl"
# What may be met: the local cluster is 1.35; two versions on either side, as far as there are any.
VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
# Istio's own admission webhook judges these, when they are applied.
CUSTOM = ("networking.istio.io", "security.istio.io", "telemetry.istio.io")


def render(folder: Path) -> list[dict[str, Any]]:
    """Return the objects of a kustomization.

    Raises:
        ValueError: it does not render; the message is kustomize's.
    """
    process = subprocess.run([KUSTOMIZE, "kustomize", folder], capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise ValueError(process.stderr.strip())
    return [manifest for manifest in yaml.safe_load_all(process.stdout) if manifest]


def problem(manifest: dict[str, Any], version: str) -> str | None:
    """Return what a Kubernetes version has against an object, None if nothing."""
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        where = ".".join(str(part) for part in error.path) or "the object"
        return f"{where}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError:
        return f"Kubernetes {version} has no {manifest['kind']} in {manifest['apiVersion']}"
    return None


def main() -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="*", type=Path)
    parser.add_argument("--kubernetes", nargs="+", default=VERSIONS, metavar="VERSION")
    arguments = parser.parse_args()
    folders = arguments.folder or sorted(file.parent for file in ROOT.glob("gitops/overlays/*/kustomization.yaml"))

    failed = False
    for folder in folders:
        try:
            manifests = render(folder)
        except ValueError as error:
            print(f"{folder.name}: does not render: {error}")
            failed = True
            continue
        custom = Counter(m["kind"] for m in manifests if m["apiVersion"].partition("/")[0] in CUSTOM)
        known = [m for m in manifests if m["apiVersion"].partition("/")[0] not in CUSTOM]
        for version in arguments.kubernetes:
            found = [(m, text) for m in known if (text := problem(m, version))]
            for manifest, text in found:
                print(f"{folder.name}: Kubernetes {version}: {manifest['kind']} {manifest['metadata']['name']}: {text}")
            failed |= bool(found)
        unchecked = f"; no schema for {custom.total()}: {', '.join(sorted(custom))}" if custom else ""
        print(f"{folder.name}: {len(known)} objects, Kubernetes {', '.join(arguments.kubernetes)}{unchecked}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
