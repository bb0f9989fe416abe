"""The images that rendered manifests use."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rendered_images
author: Titanium maintainers
short_description: The images that rendered manifests use
version_added: 0.1.0
description:
  - Returns the references of all images in a folder of manifests, sorted, each once.
  - "They are looked for wherever manifests name them: in containers and custom resources (C(image)), in arguments and environment of
    containers, and in texts that are configuration or templates of pods themselves (such as a mesh's injected sidecar)."
options:
  _terms:
    description: Folders with C(*.yaml) files.
    required: true
"""

EXAMPLES = r"""
- name: What would run
  ansible.builtin.debug:
    msg: "{{ query('titanium.platform.rendered_images', '/tmp/rendered') }}"
"""

RETURN = r"""
_raw:
  description: References.
  type: list
  elements: str
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

if TYPE_CHECKING:
    from collections.abc import Iterator

# Registry, path, and a tag or a digest or both; no part of an address or of a longer name.
REFERENCE = re.compile(
    r"(?<![\w./:@-])"
    r"(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::\d+)?(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+"
    r"(?::\w[\w.-]{0,127}(?:@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})"
    r"(?![\w/@:-])"
)
# In a text: YAML or JSON inside a ConfigMap, or a template of one.
IN_TEXT = re.compile(r"""["']?\bimage["']?\s*:\s*["']?([^\s"'{},]+)""")
# What runs nowhere: the word where something else will put an image, and what Istio's injector would take for dumps of a proxy's
# core, which it is not told to make.
PLACEHOLDERS = {"auto", "busybox:1.28"}


def images_of(manifest: dict[str, Any]) -> set[str]:
    """Return the images that a manifest uses."""
    # A CRD describes what others say; it runs nothing.
    if manifest.get("kind") == "CustomResourceDefinition":
        return set()
    return {image for image in _walk(manifest, "") if image not in PLACEHOLDERS}


def _walk(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, key)
    elif isinstance(value, str):
        if key == "image":
            if value:
                yield value
            return
        yield from REFERENCE.findall(value)
        # Without a registry, a name in a text is one only behind the word.
        yield from (name for name in IN_TEXT.findall(value) if re.search(r"[:/]", name) and not name.startswith("/"))


class LookupModule(LookupBase):  # type: ignore[misc]
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the references; raise AnsibleLookupError for a folder without manifests."""
        self.set_options(var_options=variables, direct=kwargs)
        found: set[str] = set()
        for folder in terms:
            files = sorted(Path(folder).glob("*.yaml"))
            if not files:
                raise AnsibleLookupError(f"titanium.platform.rendered_images: there are no manifests in {folder}")
            for file in files:
                for manifest in yaml.safe_load_all(file.read_text(encoding="utf-8")):
                    found |= images_of(manifest or {})
        return sorted(found)
