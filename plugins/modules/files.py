#!/usr/bin/python
"""Many files and folders of one component in one task."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files
author: Titanium maintainers
short_description: Folders and small files, all in one task
description:
  - Does what a loop over M(ansible.builtin.file) and M(ansible.builtin.template) does, without a round trip or two for
    each item; a run that has nothing to do takes a fraction of a second instead of one for every other file.
  - Contents come from the controller, mostly with P(ansible.builtin.template#lookup).
  - A file is replaced as a whole or not at all. Owner and group are the user's that the task runs as.
  - Secrets belong in a task of their own with C(no_log).
options:
  directories:
    description: Folders, made in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The folder; parents that are missing are made as well, with the same mode.
        type: path
        required: true
      mode:
        description: Its mode, in octal digits.
        type: str
        required: true
  files:
    description: Files, written after the folders.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file.
        type: path
        required: true
      content:
        description: What it holds, as text.
        type: str
        required: true
      mode:
        description: Its mode, in octal digits.
        type: str
        required: true
attributes:
  check_mode:
    support: full
    description: Says what it would change, and changes nothing.
  diff_mode:
    support: full
    description: Shows contents and modes.
"""

EXAMPLES = r"""
- name: Configure the server
  titanium.platform.files:
    directories:
      - {path: /etc/server, mode: "0755"}
    files:
      - path: /etc/server/server.yaml
        content: "{{ lookup('ansible.builtin.template', 'server.yaml.j2') }}"
        mode: "0644"
"""

RETURN = r"""
changed_paths:
  description: What was made or changed, or would be in check mode.
  returned: always
  type: list
  elements: str
"""

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from collections.abc import Iterator

Diff = dict[str, str]


class UnfitError(Exception):
    """A file or folder cannot be made."""


def mode_of(path: Path) -> int | None:
    """The permission bits of `path`, or None if it is not there."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def describe(mode: int | None, content: str = "") -> str:
    """A side of a diff; nothing if the file is not there."""
    return "" if mode is None else f"mode {mode:04o}\n{content}"


def directory(path: Path, mode: int, *, check: bool) -> Diff | None:
    """Make a folder, or mend its mode.

    Returns:
        What was different, or None.

    Raises:
        OSError: it cannot be made; a file in its place is `NotADirectoryError`.
    """
    before = mode_of(path)
    if before is not None and not path.is_dir():
        raise NotADirectoryError(20, "is not a folder", str(path))
    if before == mode:
        return None
    if not check:
        for folder in [*reversed([parent for parent in path.parents if not parent.exists()]), path]:
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
    return {"before_header": str(path), "after_header": str(path)} | {
        "before": describe(before),
        "after": describe(mode),
    }


def file(path: Path, content: str, mode: int, *, check: bool) -> Diff | None:
    """Write a file as a whole, or mend its mode.

    Returns:
        What was different, or None.

    Raises:
        OSError: it cannot be read or written.
    """
    wanted = content.encode()
    before = mode_of(path)
    found = path.read_bytes() if before is not None else b""
    if before == mode and found == wanted:
        return None
    if not check:
        if before is None or found != wanted:
            replace(path, wanted, mode)
        else:
            path.chmod(mode)
    return {"before_header": str(path), "after_header": str(path)} | {
        "before": describe(before, found.decode(errors="replace")),
        "after": describe(mode, content),
    }


def replace(path: Path, content: bytes, mode: int) -> None:
    """Put a new file with `content` in the place of `path`: a reader sees the old or the new one, never a part."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def apply(items: list[dict[str, Any]], *, check: bool) -> Iterator[Diff]:
    """Make or mend each of `items`, those with a content as files and the others as folders.

    Yields:
        What was different.

    Raises:
        UnfitError: one cannot be made; says why.
    """
    for item in items:
        path = Path(item["path"])
        try:
            mode = int(item["mode"], 8)
        except ValueError:
            raise UnfitError(f"{path}: {item['mode']!r} is not a mode. Mend: octal digits, such as '0644'") from None
        try:
            difference = (
                file(path, item["content"], mode, check=check)
                if "content" in item
                else directory(path, mode, check=check)
            )
        except OSError as error:
            raise UnfitError(f"{path}: {error.strerror}") from error
        if difference is not None:
            yield difference


def main() -> None:
    """Run the module."""
    place = {"path": {"type": "path", "required": True}, "mode": {"type": "str", "required": True}}
    content = {"content": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "directories": {"type": "list", "elements": "dict", "default": [], "options": place},
            "files": {"type": "list", "elements": "dict", "default": [], "options": place | content},
        },
        supports_check_mode=True,
    )
    try:
        diffs = list(apply([*module.params["directories"], *module.params["files"]], check=module.check_mode))
    except UnfitError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(diffs), changed_paths=[diff["after_header"] for diff in diffs], diff=diffs)


if __name__ == "__main__":
    main()
