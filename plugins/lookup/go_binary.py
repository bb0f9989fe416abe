"""Where a program that the role go_binaries builds is kept."""

from __future__ import annotations

DOCUMENTATION = r"""
name: go_binary
author: Titanium maintainers
short_description: Folder of a program built from Go modules
description:
  - Returns the folder in which the role P(titanium.platform.go_binaries#role) keeps the binaries of a program of the
    lock file's section C(go).
  - Its name holds the version and a digest of everything that decides what is built (the pinned modules and their
    checksums, our own sources, the flags, the Go toolchain), so that equal content is found whoever built it.
options:
  _terms:
    description: Names of programs in the lock file's section C(go).
    required: true
  cache_dir:
    description: The folder given to the role as C(go_binaries_cache_dir).
    type: path
    required: true
"""

EXAMPLES = r"""
- name: Where kube-apiserver is
  ansible.builtin.debug:
    msg: "{{ lookup('titanium.platform.go_binary', 'kubernetes', cache_dir='~/.cache/titanium') }}/kube-apiserver"
"""

RETURN = r"""
_raw:
  description: The folders, in the order of the names.
  type: list
  elements: path
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase

from ..module_utils import yaml_file

COLLECTION = Path(__file__).resolve().parents[2]
SOURCES = COLLECTION / "roles" / "go_binaries" / "files"


def digest(entry: dict[str, Any], source: Path) -> str:
    """Return 12 hexadecimal digits that stand for everything that decides what a build of `entry` gives.

    Args:
        entry: the program's entry in the lock file; how long a build takes does not count.
        source: the folder with its go.mod, go.sum and, where there are any, our own sources.
    """
    total = hashlib.sha256()
    total.update(json.dumps({k: v for k, v in entry.items() if k != "seconds"}, sort_keys=True).encode())
    shared = [source.parent / "build.sh", source.parent / "requirements.txt"]
    for path in shared + sorted(p for p in source.rglob("*") if p.is_file()):
        total.update(f"{path.relative_to(source.parent)}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:12]


class LookupModule(LookupBase):  # type: ignore[misc]
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Return the folder of each program.

        Raises:
            AnsibleError: when the lock file has no program of that name.
        """
        self.set_options(var_options=variables, direct=kwargs)
        cache = Path(str(self.get_option("cache_dir"))).expanduser()
        programs = yaml_file.read(COLLECTION / "lock.yml")["go"]
        folders = []
        for name in terms:
            if name not in programs:
                raise AnsibleError(
                    f"no program {name!r} in the section go of lock.yml; there are: {', '.join(programs)}"
                )
            entry = programs[name]
            folder = cache / "bin" / name / f"{entry['version']}-{digest(entry, SOURCES / entry['source'])}"
            folders.append(str(folder))
        return folders
