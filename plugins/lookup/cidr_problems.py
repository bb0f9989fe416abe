"""What is wrong with a set of address ranges."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cidr_problems
author: Titanium maintainers
short_description: What is wrong with a set of address ranges
description: Returns one line for each range that is not well-formed and for each two that overlap; nothing when all is well.
options:
  _terms:
    description: Address ranges in CIDR notation.
    required: true
"""

EXAMPLES = r"""
- name: Check the ranges
  ansible.builtin.assert:
    that: query('titanium.platform.cidr_problems', '10.244.0.0/16', '10.96.0.0/16') | length == 0
"""

RETURN = r"""
_raw:
  description: The problems.
  type: list
  elements: str
"""

import ipaddress
import itertools
from typing import Any

from ansible.plugins.lookup import LookupBase


def problems(ranges: list[str]) -> list[str]:
    """Return one line for each malformed range and for each two that overlap."""
    found, networks = [], []
    for text in ranges:
        try:
            networks.append(ipaddress.ip_network(text))
        except ValueError as error:
            found.append(f"{text} is not an address range: {error}. Mend: write it as in 10.244.0.0/16")
    for one, other in itertools.combinations(networks, 2):
        if one.version == other.version and one.overlaps(other):
            found.append(
                f"the address ranges {one} and {other} overlap. Mend: give pods and Services ranges of their own"
            )
    return found


class LookupModule(LookupBase):  # type: ignore[misc]
    """See DOCUMENTATION."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:  # noqa: ARG002
        """Return the problems of the ranges `terms`."""
        return problems([str(term) for term in terms])
