"""Read a value from the platform's lock file."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lock
short_description: A version, image or download from lock.yml
version_added: 0.1.0
author: Titanium maintainers (@titanium-platform)
description:
  - Returns values of C(lock.yml), the one file of the collection that pins versions, images and download sources.
  - An entry of C(images) with a C(repository) is returned as a whole reference, C(registry/repository:tag@digest).
  - An entry of C(downloads), or its C(url), is returned with the mirror in place of its origin.
options:
  _terms:
    description: Dotted paths, such as V(images.postgresql), V(images.postgresql.tag) or V(downloads.argocd.url).
    required: true
    type: list
    elements: str
  titanium_image_registry:
    description: Registry to take all images from, in place of the one that the lock file names; empty for none.
    type: str
    default: ""
    vars:
      - name: titanium_image_registry
  titanium_image_digests:
    description:
      - Whether references name digests. On a cluster whose images were loaded from archives (a bundle), nodes know images by
        their tags, and the archives' checksums say what they are.
    type: bool
    default: true
    vars:
      - name: titanium_image_digests
  titanium_download_mirror:
    description:
      - Mirror to take all downloads from, empty for none. It serves C(https://host/path) at C(<mirror>/host/path).
    type: str
    default: ""
    vars:
      - name: titanium_download_mirror
"""

EXAMPLES = r"""
- name: Run an image of the lock file
  titanium.platform.k8s_apply:
    name: cache
    namespace: cache
    definition:
      apiVersion: v1
      kind: Pod
      metadata: {name: cache}
      spec:
        containers:
          - name: redis
            image: "{{ lookup('titanium.platform.lock', 'images.redis') }}"
"""

RETURN = r"""
_raw:
  description: The values.
  type: list
  elements: raw
"""

import difflib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from ansible.errors import AnsibleLookupError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.lookup import LookupBase

from ..module_utils import yaml_file

# The lock file lies at the root of the collection, installed or in place.
LOCK = Path(__file__).absolute().parents[2] / "lock.yml"


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return the values at the paths ``terms``; raise AnsibleLookupError for one that is not there."""
        self.set_options(var_options=variables, direct=kwargs)
        registry, mirror = (
            str(self._templar.template(self.get_option(name) or ""))
            for name in ("titanium_image_registry", "titanium_download_mirror")
        )
        digests = boolean(self._templar.template(self.get_option("titanium_image_digests")))
        try:
            return [resolve(yaml_file.read(LOCK), term, registry, mirror, digests=digests) for term in terms]
        except (OSError, yaml.YAMLError) as error:
            raise AnsibleLookupError(f"cannot read the lock file: {error}") from error
        except LookupError as error:
            raise AnsibleLookupError(str(error.args[0])) from error


def resolve(lock: Any, term: str, registry: str = "", mirror: str = "", *, digests: bool = True) -> Any:
    """Return the value at a dotted path.

    Parameters:
        lock: the lock file's content.
        term: the path.
        registry: replaces the registry of images, unless empty.
        mirror: replaces the origin of downloads, unless empty.
        digests: whether references of images name their digest.

    Raises:
        LookupError: there is nothing at that path; names what is near.
    """
    value: Any = lock
    walked: list[str] = []
    rest = term
    while rest:
        if not isinstance(value, dict):
            raise LookupError(f"lock.yml: {'.'.join(walked)} is a value and has no key {rest!r}")
        # Names may contain dots: the longest key that fits is meant.
        key = next(
            (
                key
                for key in sorted(map(str, value), key=len, reverse=True)
                if rest == key or rest.startswith(f"{key}.")
            ),
            None,
        )
        if key is None:
            wanted = rest.split(".")[0]
            near = difflib.get_close_matches(wanted, map(str, value), n=3, cutoff=0.6)
            prefix = "".join(f"{part}." for part in walked)
            hint = (
                f"did you mean {' or '.join(prefix + name for name in near)}?"
                if near
                else f"there are {', '.join(sorted(map(str, value)))}"
            )
            raise LookupError(f"lock.yml has no {prefix}{wanted}; {hint}")
        value = value[key]
        walked.append(key)
        rest = rest[len(key) + 1 :]
    if walked[0] == "images" and isinstance(value, dict) and "repository" in value:
        return image(value if digests else {**value, "digest": ""}, registry)
    if walked[0] == "downloads":
        if isinstance(value, dict) and "url" in value:
            return {**value, "url": mirrored(value["url"], mirror)}
        if walked[-1] == "url":
            return mirrored(value, mirror)
    return value


def image(entry: dict[str, Any], registry: str = "") -> str:
    """Return the whole reference of an image, from another registry unless ``registry`` is empty."""
    repository = str(entry["repository"])
    if registry:
        first, _, rest = repository.partition("/")
        if rest and ("." in first or ":" in first or first == "localhost"):
            repository = rest
        repository = f"{registry.rstrip('/')}/{repository}"
    tag = f":{entry['tag']}" if entry.get("tag") else ""
    digest = f"@{entry['digest']}" if entry.get("digest") else ""
    return f"{repository}{tag}{digest}"


def downloads(lock: Any, name: str, architectures: list[str], mirror: str = "") -> list[dict[str, str]]:
    """Return what an entry of ``downloads`` has to be fetched: one file, or one for each architecture.

    Parameters:
        lock: the lock file's content.
        name: the entry.
        architectures: those that are wanted of an entry that tells them apart.
        mirror: replaces the origin, unless empty.

    Returns:
        For each file ``url``, ``sha256``, and as ``path`` where a mirror has it: its origin's host and path, as the URL means them.

    Raises:
        LookupError: there is no such entry, or nothing of it for an architecture.
    """
    entry = resolve(lock, f"downloads.{name}")
    if "url" in entry:
        found = [entry]
    else:
        known = {key: value for key, value in entry.items() if isinstance(value, dict) and "url" in value}
        if missing := [architecture for architecture in architectures if architecture not in known]:
            raise LookupError(
                f"lock.yml has no downloads.{name} for {', '.join(missing)}; there is {', '.join(known) or 'none'}"
            )
        found = [known[architecture] for architecture in architectures]
    return [{"url": mirrored(f["url"], mirror), "sha256": str(f["sha256"]), "path": place(f["url"])} for f in found]


def place(url: str) -> str:
    """Return the path below a mirror's folder of what is at ``url``."""
    parts = urlsplit(url)
    return unquote(f"{parts.netloc}{parts.path}")


def mirrored(url: str, mirror: str = "") -> str:
    """Return where a mirror has what is at ``url``: its host becomes the first folder."""
    if not mirror:
        return url
    parts = urlsplit(url)
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else "")
