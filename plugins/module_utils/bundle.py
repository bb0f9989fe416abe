"""Bundles: one archive with all that an installation needs, and an index that says what is in it.

A bundle is a tar archive, compressed or not. Its first member is ``bundle.json``, the index; the others are the files the index
names, in its order. The fingerprint of a bundle is the SHA-256 of its index, which holds the SHA-256 of every file.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCHEMA = 1
INDEX = "bundle.json"
# Folders of the cache that a bundle may write to.
FOLDERS = ("bin", "downloads", "images", "manifests")

_CHUNK = 1 << 20
_INDEX_LIMIT = 16 << 20
_PATH = re.compile(rf"({'|'.join(FOLDERS)})(/[A-Za-z0-9_+@~=][A-Za-z0-9._+@~=:-]*)+")
# What is left free on the disk, in bytes.
_MARGIN = 64 << 20


class BundleError(Exception):
    """A bundle cannot be made or must not be used; the message says why, in one line."""


@dataclass(frozen=True)
class File:
    """A file of a bundle: its path below the cache, its size in bytes, its SHA-256, and whether it is a program."""

    path: str
    size: int
    sha256: str
    executable: bool


@dataclass(frozen=True)
class Index:
    """What is in a bundle, and for whom it is."""

    platform: str
    architecture: str
    images: list[dict[str, str]]
    programs: list[str]
    files: list[File]

    def to_json(self) -> bytes:
        """Return the index as it stands in the archive; equal content gives equal bytes."""
        content = {
            "schema": SCHEMA,
            "platform": self.platform,
            "architecture": self.architecture,
            "images": sorted(self.images, key=lambda image: image["reference"]),
            "programs": sorted(self.programs),
            "files": [vars(file) for file in sorted(self.files, key=lambda file: file.path)],
        }
        return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def from_json(cls, text: bytes) -> Index:
        """Return the index that the bytes stand for.

        Raises:
            BundleError: they are no index, or one of another schema, or one that names what no bundle may write.
        """
        try:
            content = json.loads(text)
            if content["schema"] != SCHEMA:
                raise BundleError(f"its format is {content['schema']}, and this clone reads {SCHEMA}")
            index = cls(
                platform=str(content["platform"]),
                architecture=str(content["architecture"]),
                images=[
                    {key: str(image[key]) for key in ("reference", "digest", "path")} for image in content["images"]
                ],
                programs=[str(program) for program in content["programs"]],
                files=[
                    File(str(f["path"]), int(f["size"]), str(f["sha256"]), bool(f["executable"]))
                    for f in content["files"]
                ],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"its {INDEX} cannot be read: {error!r}") from error
        paths = [file.path for file in index.files]
        for path in paths:
            if not _PATH.fullmatch(path):
                raise BundleError(f"it names a path that no bundle may write: {path!r}")
        if len(set(paths)) != len(paths):
            raise BundleError("it names a file twice")
        if strays := [image["path"] for image in index.images if image["path"] not in paths]:
            raise BundleError(f"it names an image without a file: {strays[0]!r}")
        return index


def fingerprint(index: bytes) -> str:
    """Return the fingerprint of the bundle with this index."""
    return f"sha256:{hashlib.sha256(index).hexdigest()}"


def describe(path: str, source: Path) -> File:
    """Return the file at `source` as it will be in a bundle."""
    total = hashlib.sha256()
    size = 0
    with source.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total.update(chunk)
            size += len(chunk)
    return File(path, size, total.hexdigest(), os.access(source, os.X_OK))


def image_digest(archive: Path) -> str:
    """Return the digest of the image in an OCI archive, or of its configuration in a Docker archive, which has no other.

    Raises:
        BundleError: it is neither.
    """
    try:
        with tarfile.open(archive) as tar:
            if "index.json" in tar.getnames():
                return str(json.load(_content(tar, tar.getmember("index.json")))["manifests"][0]["digest"])
            config = str(json.load(_content(tar, tar.getmember("manifest.json")))[0]["Config"])
            return f"sha256:{config.rpartition('/')[2].removesuffix('.json')}"
    except (OSError, tarfile.TarError, KeyError, IndexError, ValueError) as error:
        raise BundleError(f"{archive} is no archive of an image: {error}") from error


def write(target: Path, index: Index, sources: dict[str, Path]) -> None:
    """Write a bundle, whole or not at all. Equal content gives equal bytes.

    Args:
        target: the archive.
        index: what goes in.
        sources: where each file of the index is.
    """
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with (
            os.fdopen(handle, "wb") as raw,
            gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
        ):
            text = index.to_json()
            _add(tar, INDEX, len(text), io.BytesIO(text), executable=False)
            for file in sorted(index.files, key=lambda file: file.path):
                with sources[file.path].open("rb") as content:
                    _add(tar, file.path, file.size, content, executable=file.executable)
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _add(tar: tarfile.TarFile, name: str, size: int, content: IO[bytes], *, executable: bool) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o755 if executable else 0o644
    tar.addfile(member, content)


class Bundle:
    """An archive that is there.

    Raises:
        BundleError: it cannot be read, or is no bundle.
    """

    def __init__(self, archive: Path) -> None:
        self.archive = archive
        with _readable(archive), tarfile.open(archive, mode="r|*") as tar:
            first = tar.next()
            if first is None or first.name != INDEX or not first.isreg() or first.size > _INDEX_LIMIT:
                raise BundleError(f"{archive}: it does not begin with {INDEX}; it is no bundle")
            self.text = _content(tar, first).read()
        try:
            self.index = Index.from_json(self.text)
        except BundleError as error:
            raise BundleError(f"{archive}: {error}") from error
        self.fingerprint = fingerprint(self.text)

    def refuse_unless(self, fingerprint: str, platform: str, architecture: str) -> None:
        """Raise BundleError unless the bundle is the one with this fingerprint (any, if empty), for this platform and machine."""
        wanted = fingerprint if ":" in fingerprint or not fingerprint else f"sha256:{fingerprint}"
        if wanted and wanted.lower() != self.fingerprint:
            raise BundleError(f"{self.archive}: its fingerprint is {self.fingerprint}, not {wanted}")
        if self.index.platform != platform:
            raise BundleError(f"{self.archive}: it is for version {self.index.platform}, and this clone is {platform}")
        if self.index.architecture != architecture:
            raise BundleError(
                f"{self.archive}: it is for {self.index.architecture}, and this machine is {architecture}"
            )

    def refuse_without(self, images: Iterable[str], programs: Iterable[str]) -> None:
        """Raise BundleError unless the bundle has these images and programs."""
        have = {image["reference"] for image in self.index.images}
        missing = [*(set(images) - have), *(set(programs) - set(self.index.programs))]
        if missing:
            raise BundleError(
                f"{self.archive}: it lacks {', '.join(sorted(missing))}; make it anew, from this commit and this inventory"
            )

    def missing(self, cache: Path) -> list[File]:
        """Return the files that are not in the cache, or not as they are here."""
        return [file for file in self.index.files if not _same(file, cache / file.path)]

    def refuse_without_space(self, cache: Path, files: list[File]) -> None:
        """Raise BundleError unless there is room for the files."""
        folder = next(path for path in (cache, *cache.parents) if path.exists())
        needed = sum(file.size for file in files) + _MARGIN
        free = shutil.disk_usage(folder).free
        if files and free < needed:
            raise BundleError(f"{folder}: {needed >> 20} MiB are needed and {free >> 20} MiB are free")

    def check(self) -> None:
        """Read all of it; raise BundleError if a file is not what the index says."""
        for file, content in self._files():
            self._copy(file, content, None)

    def unpack(self, cache: Path, missing: list[File]) -> None:
        """Put the missing files into the cache, after all of the bundle was found to be what its index says.

        Raises:
            BundleError: one is not; the cache is then as it was.
        """
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".bundle.", dir=cache) as name:
            stage = Path(name)
            for file, content in self._files():
                path = stage / file.path
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as target:
                    self._copy(file, content, target)
                path.chmod(0o755 if file.executable else 0o644)
            programs = {
                program for program in self.index.programs if any(f.path.startswith(f"{program}/") for f in missing)
            }
            for program in programs:
                _replace_folder(stage / program, cache / program)
            for file in missing:
                if not any(file.path.startswith(f"{program}/") for program in programs):
                    (cache / file.path).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(stage / file.path, cache / file.path)

    def _files(self) -> Iterator[tuple[File, IO[bytes]]]:
        """Yield each file with its content; raise BundleError for a member that the index does not name, or that is missing."""
        expected = iter(self.index.files)
        with _readable(self.archive), tarfile.open(self.archive, mode="r|*") as tar:
            tar.next()
            for member in iter(tar.next, None):
                file = next(expected, None)
                if file is None or member.name != file.path or not member.isreg() or member.size != file.size:
                    raise BundleError(f"{self.archive}: {member.name!r} in it is not what its {INDEX} says")
                yield file, _content(tar, member)
        if file := next(expected, None):
            raise BundleError(f"{self.archive}: {file.path} is missing in it")

    def _chunk(self, content: IO[bytes]) -> bytes:
        with _readable(self.archive):
            return content.read(_CHUNK)

    def _copy(self, file: File, content: IO[bytes], target: IO[bytes] | None) -> None:
        total = hashlib.sha256()
        while chunk := self._chunk(content):
            total.update(chunk)
            if target:
                target.write(chunk)
        if total.hexdigest() != file.sha256:
            raise BundleError(f"{self.archive}: the checksum of {file.path} is wrong")


@contextlib.contextmanager
def _readable(archive: Path) -> Iterator[None]:
    """Make what is wrong with the archive a BundleError."""
    try:
        yield
    except (OSError, tarfile.TarError, EOFError, zlib.error) as error:
        raise BundleError(f"{archive}: it cannot be read, or is damaged: {error}") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    assert content is not None
    return content


def _same(file: File, path: Path) -> bool:
    return path.is_file() and path.stat().st_size == file.size and describe(file.path, path) == file


def _replace_folder(staged: Path, target: Path) -> None:
    """A program's folder is there as a whole or not at all: who finds it takes it for complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    os.rename(staged, target)
