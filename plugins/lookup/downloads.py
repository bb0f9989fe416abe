"""Look up the files that entries of the lock file's downloads stand for."""

from __future__ import annotations

DOCUMENTATION = r"""
name: downloads
short_description: The files that entries of lock.yml's downloads stand for
version_added: 0.1.0
author: Titanium maintainers (@titanium-platform)
description:
  - "Returns for each file a dictionary: C(url), from the mirror if there is one, C(sha256), and C(path), where a mirror has it."
  - An entry that tells architectures apart stands for a file of each that is wanted.
options:
  _terms:
    description: Names of entries of C(downloads), such as V(k3s).
    required: true
    type: list
    elements: str
  architectures:
    description: Those that are wanted of entries that tell them apart, as Go calls them.
    type: list
    elements: str
    default: [amd64, arm64]
  titanium_download_mirror:
    description: See P(titanium.platform.lock#lookup).
    type: str
    default: ""
    vars:
      - name: titanium_download_mirror
"""

EXAMPLES = r"""
- name: What a cluster of k3s on small machines needs
  ansible.builtin.debug:
    msg: "{{ query('titanium.platform.downloads', 'k3s', architectures=['arm64']) }}"
"""

RETURN = r"""
_raw:
  description: The files.
  type: list
  elements: dict
"""

from typing import Any

import yaml
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils import yaml_file
from .lock import LOCK, downloads


class LookupModule(LookupBase):  # type: ignore[misc]
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, str]]:
        """Return the files; raise AnsibleLookupError for an entry that is not there."""
        self.set_options(var_options=variables, direct=kwargs)
        mirror = str(self._templar.template(self.get_option("titanium_download_mirror") or ""))
        wanted = self.get_option("architectures")
        try:
            return [file for term in terms for file in downloads(yaml_file.read(LOCK), term, wanted, mirror)]
        except (OSError, yaml.YAMLError) as error:
            raise AnsibleLookupError(f"cannot read the lock file: {error}") from error
        except LookupError as error:
            raise AnsibleLookupError(str(error.args[0])) from error
