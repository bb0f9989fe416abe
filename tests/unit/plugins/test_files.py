"""Files and folders: made, mended, left alone, and never half written."""

from __future__ import annotations

import importlib.util
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

SOURCE = Path(__file__).resolve().parents[3] / "plugins/modules/files.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("files", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


files = load()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_folders_and_their_parents_are_made_once(tmp_path: Path) -> None:
    path = tmp_path / "a/b/c"
    difference = files.directory(path, 0o711, check=False)
    assert difference["before"] == ""
    assert difference["after"] == "mode 0711\n"
    assert [mode(folder) for folder in (path, path.parent, path.parent.parent)] == [0o711] * 3
    assert files.directory(path, 0o711, check=False) is None


def test_a_folders_mode_is_mended(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    difference = files.directory(tmp_path, 0o700, check=False)
    assert (difference["before"], difference["after"]) == ("mode 0755\n", "mode 0700\n")
    assert mode(tmp_path) == 0o700


def test_a_file_in_a_folders_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "taken"
    path.write_text("mine")
    with pytest.raises(NotADirectoryError):
        files.directory(path, 0o700, check=False)
    assert path.read_text() == "mine"


def test_a_file_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "한글.conf"
    difference = files.file(path, "가: 1\n", 0o600, check=False)
    assert (difference["before"], difference["after"]) == ("", "mode 0600\n가: 1\n")
    assert (path.read_text(), mode(path)) == ("가: 1\n", 0o600)
    assert files.file(path, "가: 1\n", 0o600, check=False) is None
    assert names(tmp_path) == [path.name]


def test_content_and_mode_are_mended(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("by hand\n")
    path.chmod(0o644)
    difference = files.file(path, "wanted\n", 0o600, check=False)
    assert (difference["before"], difference["after"]) == ("mode 0644\nby hand\n", "mode 0600\nwanted\n")
    assert (path.read_text(), mode(path)) == ("wanted\n", 0o600)
    path.chmod(0o666)
    assert files.file(path, "wanted\n", 0o600, check=False)
    assert mode(path) == 0o600


def test_check_mode_says_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    assert files.file(path, "after", 0o600, check=True)
    assert files.directory(tmp_path / "new", 0o700, check=True)
    assert files.file(tmp_path / "new/file", "text", 0o600, check=True)
    assert names(tmp_path) == ["file"]
    assert path.read_text() == "before"


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(TypeError):
        files.replace(path, "not bytes", 0o600)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"mode": "rw-r--r--"}, "'rw-r--r--' is not a mode. Mend: octal digits, such as '0644'"),
        ({"mode": "0600", "content": "x", "path": "no/such/folder/file"}, "No such file or directory"),
    ],
)
def test_what_cannot_be_made_is_named(tmp_path: Path, item: dict[str, str], problem: str) -> None:
    path = tmp_path / item.get("path", "file")
    with pytest.raises(files.UnfitError) as error:
        list(files.apply([item | {"path": str(path)}], check=False))
    assert str(error.value) == f"{path}: {problem}"
    assert names(tmp_path) == []
