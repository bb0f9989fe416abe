#!/usr/bin/python
"""Write images, programs and manifests into one archive."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_pack
author: Titanium maintainers
short_description: Write all that an installation needs into one archive
version_added: 0.1.0
description:
  - Writes files and an index with their checksums into one archive, whole or not at all; equal content gives an equal archive.
  - An archive that is there, has the same index and is undamaged is left alone.
options:
  path:
    description: The archive.
    type: path
    required: true
  platform:
    description: Version of the collection that the bundle is for.
    type: str
    required: true
  images:
    description: Images, as OCI archives.
    type: list
    elements: dict
    required: true
    suboptions:
      reference:
        description: Full name of the image.
        type: str
        required: true
      archive:
        description: Its archive.
        type: path
        required: true
  programs:
    description: Folders of programs, each below C(bin/) of a cache.
    type: list
    elements: path
    default: []
  downloads:
    description: Files that were downloaded.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where a mirror has it, C(host/path).
        type: str
        required: true
      file:
        description: The file.
        type: path
        required: true
  manifests:
    description: A folder with rendered manifests.
    type: path
attributes:
  check_mode:
    support: full
    description: Reads everything and writes nothing. What is not there yet counts as to be made.
  diff_mode:
    support: full
    description: Shows the names of files, and their checksums.
"""

EXAMPLES = r"""
- name: Write a bundle
  titanium.platform.bundle_pack:
    path: /srv/titanium.bundle
    platform: 0.1.0
    images:
      - {reference: "localhost/redis:1", archive: /root/.cache/titanium/images/redis-1.tar}
    programs: [/root/.cache/titanium/bin/etcd/3.6.16-0a1b2c]
"""

RETURN = r"""
fingerprint:
  description: The bundle's fingerprint, C(sha256:...).
  returned: when everything that goes in is there
  type: str
size:
  description: Size of the archive in bytes.
  returned: when it is there
  type: int
"""

import os
import platform
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.titanium.platform.plugins.module_utils.bundle import (
    Bundle,
    BundleError,
    Index,
    describe,
    fingerprint,
    image_digest,
    write,
)


def below(folder: Path) -> list[Path]:
    """Return the files below a folder, sorted."""
    return sorted(Path(parent, name) for parent, _, names in os.walk(folder) for name in names)


def sources(parameters: dict[str, Any]) -> dict[str, Path]:
    """Return where each file of the bundle is, by its path in the bundle."""
    found = {f"images/{Path(image['archive']).name}": Path(image["archive"]) for image in parameters["images"]}
    for folder in map(Path, parameters["programs"]):
        found |= {f"bin/{folder.parent.name}/{folder.name}/{file.relative_to(folder)}": file for file in below(folder)}
    found |= {f"downloads/{download['path']}": Path(download["file"]) for download in parameters["downloads"]}
    if folder := parameters["manifests"]:
        found |= {f"manifests/{file.relative_to(folder)}": file for file in below(Path(folder))}
    return found


def index_of(parameters: dict[str, Any], files: dict[str, Path]) -> Index:
    """Return the index of what goes in."""
    return Index(
        platform=parameters["platform"],
        architecture=platform.machine(),
        images=[
            {
                "reference": image["reference"],
                "digest": image_digest(Path(image["archive"])),
                "path": f"images/{Path(image['archive']).name}",
            }
            for image in parameters["images"]
        ],
        programs=[f"bin/{Path(folder).parent.name}/{Path(folder).name}" for folder in parameters["programs"]],
        files=[describe(path, source) for path, source in files.items()],
    )


def present(path: Path) -> str:
    """Return the index of the archive that is there, or nothing if there is none, or a damaged one."""
    try:
        bundle = Bundle(path)
        bundle.check()
    except BundleError:
        return ""
    return str(bundle.text.decode())


def main() -> None:
    """Entry point."""
    image = {"reference": {"type": "str", "required": True}, "archive": {"type": "path", "required": True}}
    download = {"path": {"type": "str", "required": True}, "file": {"type": "path", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "platform": {"type": "str", "required": True},
            "images": {"type": "list", "elements": "dict", "required": True, "options": image},
            "programs": {"type": "list", "elements": "path", "default": []},
            "downloads": {"type": "list", "elements": "dict", "default": [], "options": download},
            "manifests": {"type": "path"},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    target = Path(parameters["path"])
    missing = [i["archive"] for i in parameters["images"] if not Path(i["archive"]).is_file()]
    missing += [d["file"] for d in parameters["downloads"] if not Path(d["file"]).is_file()]
    missing += [folder for folder in parameters["programs"] if not below(Path(folder))]
    if missing and module.check_mode:
        module.exit_json(
            changed=True, diff={"before": "", "after": "".join(f"{name}, to be made\n" for name in missing)}
        )
    if missing:
        module.fail_json(msg=f"{', '.join(missing)} is not there; build, pull or download it first")
    try:
        files = sources(parameters)
        index = index_of(parameters, files)
        text = index.to_json().decode()
        before = present(target)
        if before != text and not module.check_mode:
            write(target, index, files)
    except (BundleError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=before != text,
        fingerprint=fingerprint(text.encode()),
        diff={"before_header": str(target), "after_header": str(target), "before": before, "after": text},
        **({"size": target.stat().st_size} if target.exists() else {}),
    )


if __name__ == "__main__":
    main()
