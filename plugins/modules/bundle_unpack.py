#!/usr/bin/python
"""Put what is in a bundle where the roles look for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_unpack
author: Titanium maintainers
short_description: Put what is in a bundle where the roles look for it
version_added: 0.1.0
description:
  - Checks a bundle (fingerprint, version, architecture, content, disk space), and every file in it against its checksum. Only then the
    files go into the cache. What is wrong is said in one line, and nothing was touched.
  - What is in the cache already, as the bundle has it, is left alone.
options:
  path:
    description: The archive.
    type: path
    required: true
  cache_dir:
    description: The cache.
    type: path
    required: true
  fingerprint:
    description: The fingerprint that the bundle must have; empty for any.
    type: str
    default: ""
  platform:
    description: Version of the collection that the bundle must be for.
    type: str
    required: true
  images:
    description: References of images that must be in it.
    type: list
    elements: str
    default: []
  programs:
    description: Folders of programs that must be in it, as paths below C(bin/) of a cache.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    support: full
    description: Reads and checks everything, and writes nothing.
"""

EXAMPLES = r"""
- name: Use a bundle
  titanium.platform.bundle_unpack:
    path: /srv/titanium.bundle
    fingerprint: sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    cache_dir: /root/.cache/titanium
    platform: 0.1.0
"""

RETURN = r"""
fingerprint:
  description: The bundle's fingerprint.
  returned: success
  type: str
images:
  description: The images in it.
  returned: success
  type: list
  elements: dict
  contains:
    reference: {description: Full name of the image., type: str, returned: always}
    archive: {description: Its archive in the cache., type: path, returned: always}
written:
  description: Paths of the files that were put, or in check mode would be put, into the cache.
  returned: success
  type: list
  elements: str
"""

import platform
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.titanium.platform.plugins.module_utils.bundle import Bundle, BundleError


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "cache_dir": {"type": "path", "required": True},
            "fingerprint": {"type": "str", "default": ""},
            "platform": {"type": "str", "required": True},
            "images": {"type": "list", "elements": "str", "default": []},
            "programs": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    cache = Path(parameters["cache_dir"])
    try:
        bundle = Bundle(Path(parameters["path"]))
        bundle.refuse_unless(parameters["fingerprint"], parameters["platform"], platform.machine())
        programs = [f"bin/{Path(folder).parent.name}/{Path(folder).name}" for folder in parameters["programs"]]
        bundle.refuse_without(parameters["images"], programs)
        missing = bundle.missing(cache)
        bundle.refuse_without_space(cache, bundle.index.files if missing else [])
        if missing and module.check_mode:
            bundle.check()
        elif missing:
            bundle.unpack(cache, missing)
    except (BundleError, OSError) as error:
        module.fail_json(msg=f"{error}. Nothing was changed")
    paths = [file.path for file in missing]
    module.exit_json(
        changed=bool(missing),
        fingerprint=bundle.fingerprint,
        images=[{"reference": i["reference"], "archive": str(cache / i["path"])} for i in bundle.index.images],
        written=paths,
        diff={"before": "", "after": "".join(f"{path}\n" for path in paths)},
    )


if __name__ == "__main__":
    main()
