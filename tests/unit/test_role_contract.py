"""Every role keeps the contract of CONTRIBUTING.md."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "path": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "raw": (object,),
}
ENTRY_POINTS = ("main", "uninstall")


def load(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file of a role."""
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return content


def defaults_of(role: str) -> dict[str, Any]:
    """Return a role's defaults; none is a role without variables."""
    path = ROOT / "roles" / role / "defaults" / "main.yml"
    return load(path) if path.is_file() else {}


def specs_of(role: str) -> dict[str, Any]:
    """Return a role's entry points."""
    specs: dict[str, Any] = load(ROOT / "roles" / role / "meta" / "argument_specs.yml")["argument_specs"]
    return specs


def options_of(role: str) -> dict[str, Any]:
    """Return the options of all entry points."""
    return {name: option for spec in specs_of(role).values() for name, option in (spec.get("options") or {}).items()}


@pytest.mark.parametrize("role", ROLES)
def test_has_its_files(role: str) -> None:
    expected = ["meta/main.yml", "meta/argument_specs.yml", "README.md"]
    # A role that only looks has nothing to remove.
    points = ["main"] if role == "platform_verify" else ENTRY_POINTS
    expected += [f"tasks/{point}.yml" for point in points]
    missing = [name for name in expected if not (ROOT / "roles" / role / name).is_file()]
    assert not missing, f"roles/{role} lacks {', '.join(missing)}"
    assert set(points) <= set(specs_of(role)), (
        f"roles/{role}/meta/argument_specs.yml describes only {list(specs_of(role))}"
    )


@pytest.mark.parametrize("role", ROLES)
def test_specs_and_defaults_have_the_same_keys(role: str) -> None:
    documented, defaults = set(options_of(role)), set(defaults_of(role))
    assert defaults == documented, (
        f"only in defaults: {sorted(defaults - documented)}; only in argument_specs: {sorted(documented - defaults)}"
    )


@pytest.mark.parametrize("role", ROLES)
def test_specs_and_defaults_have_the_same_values(role: str) -> None:
    wrong = []
    defaults = defaults_of(role)
    for name, option in options_of(role).items():
        value = defaults.get(name)
        if isinstance(value, str) and re.match(r"{{\s*undef\(", value):
            if not option.get("required"):
                wrong.append(f"{name} has no default and is not marked as required")
            if not re.search(r"undef\(hint=", value):
                wrong.append(f"{name} does not say what to set it to (undef(hint=...))")
        elif option.get("required"):
            wrong.append(f"{name} is marked as required and has a default")
        elif value != option.get("default"):
            wrong.append(f"{name}: defaults say {value!r}, argument_specs {option.get('default')!r}")
        elif not (isinstance(value, str) and "{{" in value) and not isinstance(value, TYPES[option.get("type", "str")]):
            wrong.append(f"{name}: {value!r} is not of type {option.get('type', 'str')}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("role", ROLES)
def test_variables_bear_the_roles_name(role: str) -> None:
    wrong = [name for name in {**defaults_of(role), **options_of(role)} if not name.startswith(f"{role}_")]
    private = ROOT / "roles" / role / "vars" / "main.yml"
    if private.is_file():
        wrong += [name for name in load(private) if not name.startswith(f"__{role}_")]
    assert not wrong, f"wrong prefix: {', '.join(wrong)}"


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_described(role: str) -> None:
    missing = [
        name for name, option in options_of(role).items() if not option.get("description") or not option.get("type")
    ]
    assert not missing, f"without description or type: {', '.join(missing)}"


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_commented(role: str) -> None:
    path = ROOT / "roles" / role / "defaults" / "main.yml"
    if not path.is_file():
        return
    above = ""
    bare = []
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"([a-z_]\w*):", line)
        # One comment may stand above several variables that belong together.
        if match and not above.startswith(("#", f"{role}_")):
            bare.append(match[1])
        above = line if not line.startswith((" ", "-")) else above
    assert not bare, f"without a comment: {', '.join(bare)}"


@pytest.mark.parametrize("role", ROLES)
def test_readme_is_up_to_date(role: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "role-readme", "--check", role], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
