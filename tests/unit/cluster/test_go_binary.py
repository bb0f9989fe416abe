"""The folder of a built program is named after everything that decides what is built."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from plugins.lookup import go_binary

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "build.sh").write_text("build")
    (tmp_path / "requirements.txt").write_text("go==1")
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool/go.mod").write_text("module a")
    return tmp_path / "tool"


def test_equal_content_has_an_equal_digest(source: Path) -> None:
    assert go_binary.digest({"version": "1", "seconds": 1}, source) == go_binary.digest(
        {"seconds": 2, "version": "1"}, source
    )


@pytest.mark.parametrize("changed", ["tool/go.mod", "build.sh", "requirements.txt", "tool/main.go"])
def test_every_input_counts(source: Path, changed: str) -> None:
    before = go_binary.digest({"version": "1"}, source)
    (source.parent / changed).write_text("something else")
    assert go_binary.digest({"version": "1"}, source) != before


def test_the_lock_files_programs_have_sources() -> None:
    programs = yaml.safe_load((ROOT / "lock.yml").read_text())["go"]
    for name, entry in programs.items():
        folder = go_binary.SOURCES / entry["source"]
        assert (folder / "go.mod").exists(), name
        assert (folder / "go.sum").exists(), name
        assert entry["binaries"], name
