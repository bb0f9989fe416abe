"""Look up the reference of an image that this project builds itself."""

from __future__ import annotations

DOCUMENTATION = r"""
name: built_image
author: Titanium maintainers
short_description: The reference of an image that is built here
version_added: 0.1.0
description:
  - Computes C(localhost/titanium/NAME:DIGEST) from what the image is made of (recipe, Dockerfile, files, base image, build arguments,
    and the source of the binary it carries), and from nothing else.
    The same content has the same reference in every clone, in check mode too, before anything was built.
  - The role P(titanium.platform.images#role) builds the images and loads them into containerd.
options:
  _terms:
    description: Names of images, as in C(roles/images/files/recipes.yml). Without any, all that this tree has the sources of.
    type: list
    elements: str
  details:
    description:
      - Return how each image is made instead of its reference alone, with the images it stands on before it;
        each image comes once.
    type: bool
    default: false
  cache_dir:
    description: Folder with the binaries that images carry, and with the archives of images. Only used with O(details).
    type: path
    default: ~/.cache/titanium
"""

EXAMPLES = r"""
- name: Where the blog runs from
  ansible.builtin.debug:
    msg: "{{ lookup('titanium.platform.built_image', 'blog-service') }}"
"""

RETURN = r"""
_raw:
  description: References, or with O(details) dictionaries.
  type: list
  elements: raw
"""

import fnmatch
import functools
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase

from ..module_utils import yaml_file

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
RECIPES = "roles/images/files/recipes.yml"
REPOSITORY = "localhost/titanium"

# What lies in source folders without being source.
IGNORED = ("__pycache__", "*.pyc", ".*", "README.md", "tests")

# Raised when the way of building changes what an image contains.
FORMAT = 1


class Catalogue:
    """The images that can be built from a tree.

    Parameters
    ----------
    root:
        Root of the collection: what recipes' paths are relative to.
    cache_dir:
        Folder with the binaries that images carry, and with the archives of images.
    """

    def __init__(self, root: Path = ROOT, cache_dir: str = "~/.cache/titanium") -> None:
        self.root = root
        self.cache_dir = cache_dir
        self.recipes: dict[str, Any] = yaml_file.read(root / RECIPES)
        self.images: dict[str, dict[str, Any]] = self.recipes["images"]

    def recipe(self, name: str) -> dict[str, Any]:
        """Return the recipe of the image ``name``; raise AnsibleLookupError if there is none."""
        if name not in self.images:
            self._fail(f"there is no image {name!r}; there are: {', '.join(sorted(self.images))}")
        return self.images[name]

    def chain(self, name: str) -> list[str]:
        """Return the image ``name`` after all those it stands on, lowest first."""
        below = self.recipe(name).get("from")
        return [*(self.chain(below) if below else []), name]

    def files(self, name: str) -> list[str]:
        """Return the paths in the context that go into the image ``name``, sorted.

        Raises AnsibleLookupError for one that the recipe names and that is not there.
        """
        recipe = self.recipe(name)
        if "context" not in recipe:
            return []
        context = self.root / recipe["context"]
        found: set[str] = set()
        for pattern in [self.dockerfile(name), *recipe.get("files", [])]:
            matches = [file for match in context.glob(pattern) for file in self._walk(match)]
            if not matches:
                self._fail(f"image {name}: nothing matches {recipe['context']}/{pattern}, named in {RECIPES}")
            found.update(str(file.relative_to(context)) for file in matches)
        return sorted(found)

    def has_sources(self, name: str) -> bool:
        """Tell whether every file that the recipe of the image ``name`` asks for is there."""
        try:
            self.files(name)
        except AnsibleLookupError:
            return False
        return True

    def dockerfile(self, name: str) -> str:
        """Return the path in the context of the Dockerfile of the image ``name``."""
        return str(self.recipe(name).get("dockerfile", "Dockerfile"))

    def digest(self, name: str) -> str:
        """Return 16 hexadecimal digits that stand for the content of the image ``name``."""
        recipe = self.recipe(name)
        below = recipe.get("from")
        context = self.root / recipe.get("context", "")
        content = {
            "format": FORMAT,
            "recipe": {key: value for key, value in recipe.items() if key != "seconds"},
            "debian": [self.recipes["debian"], str(self.recipes["refreshed"])],
            "from": self.digest(below) if below else "",
            # The folder's name is its version and a digest of all that decides what is in it.
            "binary": os.path.basename(self.binary(name)),
            "files": {
                path: [hashlib.sha256((context / path).read_bytes()).hexdigest(), os.access(context / path, os.X_OK)]
                for path in self.files(name)
            },
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def binary(self, name: str) -> str:
        """Return the folder of the binary that the image ``name`` carries, or an empty string if it carries none."""
        program = self.recipe(name).get("binary")
        return _binary_folder(program, self.cache_dir) if program else ""

    def programs(self, name: str) -> list[str]:
        """Return the names of the binaries that the image ``name`` carries."""
        recipe = self.recipe(name)
        return list(recipe.get("programs", [recipe["binary"]] if "binary" in recipe else []))

    def module_pin(self, name: str) -> str:
        """Return the folder of the go.mod and go.sum that pin the module of the image ``name``."""
        programs = yaml_file.read(self.root / "lock.yml")["go"]
        return str(self.root / "roles/go_binaries/files" / programs[self.recipe(name)["binary"]]["source"])

    def reference(self, name: str) -> str:
        """Return the full reference of the image ``name``."""
        return f"{REPOSITORY}/{name}:{self.digest(name)}"

    def details(self, name: str) -> dict[str, Any]:
        """Return what the module ``titanium.platform.image_build`` needs to build the image ``name``."""
        recipe = self.recipe(name)
        below = recipe.get("from")
        digest = self.digest(name)
        return {
            "name": name,
            "reference": self.reference(name),
            "digest": digest,
            "archive": str(Path(self.cache_dir).expanduser() / "images" / f"{name}-{digest}.tar"),
            "seconds": recipe["seconds"],
            "chain": self.chain(name),
            "base": self.reference(below) if below else "",
            "debian": self.recipes["debian"],
            "refreshed": str(self.recipes["refreshed"]),
            "packages": recipe.get("packages", []),
            "context": str(self.root / recipe["context"]) if "context" in recipe else "",
            "dockerfile": self.dockerfile(name),
            "files": self.files(name),
            "target": recipe.get("target", ""),
            "args": recipe.get("args", {}),
            "wheels": recipe.get("wheels", {}),
            "binaries": {program: f"{self.binary(name)}/{program}" for program in self.programs(name)},
            "module": recipe.get("module", ""),
            "module_pin": self.module_pin(name) if "sources" in recipe else "",
            "sources": recipe.get("sources", {}),
            "title": recipe["title"],
            # A binary's folder is named <version>-<digest>.
            "version": str(recipe.get("version") or os.path.basename(self.binary(name)).rpartition("-")[0]),
            "licenses": recipe["licenses"],
        }

    @staticmethod
    def _walk(path: Path) -> Iterator[Path]:
        """Yield the file ``path``, or all source files below the folder ``path``."""
        if path.is_file():
            yield path
            return
        for folder, folders, files in os.walk(path):
            folders[:] = [f for f in folders if not _ignored(f)]
            yield from (Path(folder, f) for f in files if not _ignored(f))

    @staticmethod
    def _fail(message: str) -> NoReturn:
        raise AnsibleLookupError(f"titanium.platform.built_image: {message}")


@functools.cache
def _binary_folder(program: str, cache_dir: str) -> str:
    lookup = lookup_loader.get("titanium.platform.go_binary")
    return str(lookup.run([program], variables={}, cache_dir=cache_dir)[0])


def _ignored(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in IGNORED)


class LookupModule(LookupBase):  # type: ignore[misc]
    """Entry point for Ansible; see DOCUMENTATION."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return a reference, or details, per name in ``terms``."""
        self.set_options(var_options=variables, direct=kwargs)
        catalogue = Catalogue(cache_dir=self.get_option("cache_dir"))
        terms = terms or [name for name in catalogue.images if catalogue.has_sources(name)]
        if not self.get_option("details"):
            return [catalogue.reference(name) for name in terms]
        # What others stand on comes before them.
        names = dict.fromkeys(name for term in terms for name in catalogue.chain(term))
        return [catalogue.details(name) for name in names]
