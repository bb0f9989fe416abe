"""YAML files of the collection that many lookups of one run read."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ansible.module_utils.common.yaml import yaml_load

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path) -> Any:
    """Return the content of a YAML file; read and parsed once, as long as it is not edited.

    Raises:
        OSError: it cannot be read.
        yaml.YAMLError: it is no YAML.
    """
    return _parsed(path, path.stat().st_mtime_ns)


@cache
def _parsed(path: Path, modified: int) -> Any:
    del modified  # part of the cache's key: an edited file is read again
    # By libyaml: parsed in Python these files were a quarter of what a run of one layer took.
    return yaml_load(path.read_text(encoding="utf-8"))
