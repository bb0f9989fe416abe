"""Files that are read once, until they are edited."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from plugins.module_utils.yaml_file import read

if TYPE_CHECKING:
    from pathlib import Path


def test_read_once_until_it_is_edited(tmp_path: Path) -> None:
    file = tmp_path / "lock.yml"
    file.write_text("go: {etcd: {version: 1.2.3}}\n")
    assert read(file) == {"go": {"etcd": {"version": "1.2.3"}}}
    assert read(file) is read(file)
    before = file.stat().st_mtime_ns
    file.write_text("go: {}\n")
    os.utime(file, ns=(before + 1, before + 1))
    assert read(file) == {"go": {}}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "lock.yml")
