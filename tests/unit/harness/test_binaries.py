"""What is missing on a machine is said in one line, with the mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.binaries import MissingProgramError, find_chromium, find_redis

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(("find", "package"), [(find_chromium, "chromium"), (find_redis, "redis-server")])
def test_a_missing_program_comes_with_the_mend(
    find: Callable[[], Path], package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingProgramError, match=rf"^[^\n]+Mend: apt-get install [^\n]*{package}$"):
        find()
    program = tmp_path / package
    program.touch(mode=0o755)
    assert find() == program
