"""References of images stand for their content, and for nothing else."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleLookupError

from plugins.lookup import built_image
from plugins.lookup.built_image import RECIPES, Catalogue

ROOT = Path(__file__).resolve().parents[3]

TREE = {
    RECIPES: """
        debian: trixie
        refreshed: "2026-01-01"
        images:
          base: {title: Base, seconds: 1, version: 1, licenses: MIT, packages: [ca-certificates]}
          app:
            title: Application
            seconds: 1
            version: 2
            licenses: MIT
            from: base
            context: app
            files: [source, "*.txt"]
            args: {NAME: app}
    """,
    "app/Dockerfile": "FROM scratch\n",
    "app/requirements.txt": "one==1\n",
    "app/source/main.py": "print()\n",
    "app/source/__pycache__/main.pyc": "cache",
    "app/source/README.md": "about\n",
    "app/other/unused.py": "print()\n",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with two recipes, one of which stands on the other."""
    for name, content in TREE.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content))
    return tmp_path


def test_reference_names_the_image_and_its_digest(tree: Path) -> None:
    assert re.fullmatch(r"localhost/titanium/app:[0-9a-f]{16}", Catalogue(tree).reference("app"))


def test_only_what_the_recipe_names_goes_in(tree: Path) -> None:
    assert Catalogue(tree).files("app") == ["Dockerfile", "requirements.txt", "source/main.py"]


@pytest.mark.parametrize("name", ["app/Dockerfile", "app/requirements.txt", "app/source/main.py", "app/source/new.py"])
def test_changed_source_is_another_image(tree: Path, name: str) -> None:
    before = Catalogue(tree).reference("app")
    (tree / name).write_text("changed\n")
    assert Catalogue(tree).reference("app") != before


@pytest.mark.parametrize(
    "name", ["app/source/README.md", "app/source/__pycache__/main.pyc", "app/other/unused.py", "app/source/.swp"]
)
def test_what_does_not_go_in_does_not_count(tree: Path, name: str) -> None:
    before = Catalogue(tree).reference("app")
    (tree / name).write_text("changed\n")
    assert Catalogue(tree).reference("app") == before


def test_executable_bit_counts(tree: Path) -> None:
    before = Catalogue(tree).reference("app")
    (tree / "app/source/main.py").chmod(0o755)
    assert Catalogue(tree).reference("app") != before


@pytest.mark.parametrize(
    ("old", "new"),
    [("trixie", "bookworm"), ("2026-01-01", "2026-01-02"), ("ca-certificates", "tzdata"), ("NAME: app", "NAME: other")],
)
def test_changed_recipe_is_another_image(tree: Path, old: str, new: str) -> None:
    before = Catalogue(tree).reference("app")
    recipes = tree / RECIPES
    recipes.write_text(recipes.read_text().replace(old, new))
    assert Catalogue(tree).reference("app") != before


def test_expected_duration_does_not_count(tree: Path) -> None:
    before = Catalogue(tree).reference("app")
    recipes = tree / RECIPES
    recipes.write_text(recipes.read_text().replace("seconds: 1", "seconds: 99"))
    assert Catalogue(tree).reference("app") == before


def test_place_of_the_clone_does_not_count(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("elsewhere") / "clone"
    tree.rename(other)
    elsewhere = Catalogue(other).reference("app")
    other.rename(tree)
    assert Catalogue(tree).reference("app") == elsewhere


def test_carried_binary_counts(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = tree / RECIPES
    recipes.write_text(recipes.read_text().replace("from: base", "from: base\n    binary: tool"))
    digests = []
    for folder in ("/cache/bin/tool/1.0-aaa", "/cache/bin/tool/1.1-bbb", "/other/bin/tool/1.1-bbb"):
        monkeypatch.setattr(built_image, "_binary_folder", lambda _program, _cache, folder=folder: folder)
        digests.append(Catalogue(tree).digest("app"))
    assert digests[0] != digests[1]
    assert digests[1] == digests[2], "where the cache is must not count"


def test_several_programs_of_one_build(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built_image, "_binary_folder", lambda _program, _cache: "/cache/bin/tool/1.0-aaa")
    recipes = tree / RECIPES
    text = recipes.read_text()
    recipes.write_text(text.replace("from: base", "from: base\n    binary: tool"))
    assert Catalogue(tree).details("app")["binaries"] == {"tool": "/cache/bin/tool/1.0-aaa/tool"}
    recipes.write_text(text.replace("from: base", "from: base\n    binary: tool\n    programs: [one, two]"))
    assert Catalogue(tree).details("app")["binaries"] == {
        "one": "/cache/bin/tool/1.0-aaa/one",
        "two": "/cache/bin/tool/1.0-aaa/two",
    }


def test_chain_begins_with_the_lowest(tree: Path) -> None:
    assert Catalogue(tree).chain("app") == ["base", "app"]


def test_unknown_image_is_named_beside_the_known(tree: Path) -> None:
    with pytest.raises(AnsibleLookupError, match=r"no image 'ap'; there are: app, base"):
        Catalogue(tree).reference("ap")


def test_missing_source_is_named(tree: Path) -> None:
    (tree / "app/source/main.py").unlink()
    assert not Catalogue(tree).has_sources("app")
    with pytest.raises(AnsibleLookupError, match="nothing matches app/source"):
        Catalogue(tree).reference("app")


def test_every_recipe_is_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built_image, "_binary_folder", lambda program, _cache: f"/cache/bin/{program}/1.0-abc")
    catalogue = Catalogue(ROOT)
    for name in catalogue.images:
        details = catalogue.details(name)
        assert details["title"], name
        assert details["version"], name
        assert details["licenses"], name
        assert details["seconds"] > 0, name


def test_services_are_built_on_the_locked_image_elsewhere() -> None:
    lock = yaml.safe_load((ROOT / "lock.yml").read_text())["images"]["python"]
    dockerfile = (ROOT / "services/Dockerfile").read_text()
    assert f"ARG BASE_IMAGE={lock['repository']}:{lock['tag']}@{lock['digest']}\n" in dockerfile


def test_locked_digests_are_whole() -> None:
    images = yaml.safe_load((ROOT / "lock.yml").read_text())["images"]
    for name, entry in images.items():
        assert set(entry) == {"repository", "tag", "digest"}, name
        assert re.fullmatch(r"(sha256:[0-9a-f]{64})?", entry["digest"]), name
