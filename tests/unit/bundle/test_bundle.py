"""Bundles: what is packed comes out as it was, and what is wrong is refused before anything is touched."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from plugins.module_utils import bundle
from plugins.module_utils.bundle import INDEX, Bundle, BundleError, File, Index, describe, image_digest, write

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
CONTENT = {
    "bin/tool/1.0-abc/tool": b"#!/bin/sh\n" + b"x" * 3_000_000,
    "bin/tool/1.0-abc/helper": b"help",
    "images/app-1.tar": b"layers",
    "manifests/prod_app.yaml": b"kind: Pod\n",
}
IMAGE = {"reference": "localhost/app:1", "digest": "sha256:1", "path": "images/app-1.tar"}
Member = tuple[tarfile.TarInfo, bytes]


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for name, content in CONTENT.items():
        path = tmp_path / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if name.startswith("bin/") else 0o644)
        found[name] = path
    return found


@pytest.fixture
def index(sources: dict[str, Path]) -> Index:
    return Index("1.0", "x86_64", [IMAGE], ["bin/tool/1.0-abc"], [describe(name, p) for name, p in sources.items()])


@pytest.fixture
def archive(tmp_path: Path, index: Index, sources: dict[str, Path]) -> Path:
    path = tmp_path / "all.bundle"
    write(path, index, sources)
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def install(archive: Path, cache: Path, fingerprint: str = "") -> None:
    """As the module does."""
    found = Bundle(archive)
    found.refuse_unless(fingerprint, "1.0", "x86_64")
    missing = found.missing(cache)
    found.refuse_without_space(cache, missing)
    found.unpack(cache, missing)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rewrite(archive: Path, change: Callable[[list[Member]], None]) -> None:
    """Write the archive anew, after `change` had its members."""
    with tarfile.open(archive) as tar:
        members = [(member, (tar.extractfile(member) or io.BytesIO()).read()) for member in tar]
    change(members)
    with tarfile.open(archive, "w:gz") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def reindex(archive: Path, **changes: Any) -> None:
    """Write another index into the archive."""

    def change(members: list[Member]) -> None:
        content = json.loads(members[0][1]) | changes
        members[0] = (members[0][0], json.dumps(content).encode())

    rewrite(archive, change)


def test_what_goes_in_comes_out(archive: Path, cache: Path) -> None:
    install(archive, cache)
    assert tree(cache) == CONTENT
    assert (cache / "bin/tool/1.0-abc/tool").stat().st_mode & 0o777 == 0o755
    assert (cache / "images/app-1.tar").stat().st_mode & 0o777 == 0o644
    assert Bundle(archive).missing(cache) == []
    assert [path.name for path in cache.iterdir() if path.name.startswith(".")] == []


def test_equal_content_is_an_equal_archive(
    archive: Path, index: Index, sources: dict[str, Path], tmp_path: Path
) -> None:
    write(tmp_path / "again.bundle", index, dict(reversed(sources.items())))
    assert archive.read_bytes() == (tmp_path / "again.bundle").read_bytes()


def test_the_fingerprint_is_the_index_s(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        first = tar.next()
        assert first
        assert first.name == INDEX
        assert Bundle(archive).fingerprint == bundle.fingerprint((tar.extractfile(first) or io.BytesIO()).read())


def test_only_what_is_missing_is_written(archive: Path, cache: Path) -> None:
    install(archive, cache)
    untouched = (cache / "images/app-1.tar").stat().st_ino
    (cache / "bin/tool/1.0-abc/helper").write_text("tampered")
    assert [file.path for file in Bundle(archive).missing(cache)] == ["bin/tool/1.0-abc/helper"]
    install(archive, cache)
    assert tree(cache) == CONTENT
    assert (cache / "images/app-1.tar").stat().st_ino == untouched


def test_what_else_is_in_the_cache_stays(archive: Path, cache: Path) -> None:
    (cache / "images").mkdir(parents=True)
    (cache / "images/other.tar").write_text("other")
    install(archive, cache)
    assert (cache / "images/other.tar").read_text() == "other"


def test_the_fingerprint_may_be_given_with_or_without_its_kind(archive: Path) -> None:
    found = Bundle(archive)
    for given in (
        found.fingerprint,
        found.fingerprint.removeprefix("sha256:"),
        found.fingerprint.upper().replace("SHA", "sha"),
    ):
        found.refuse_unless(given, "1.0", "x86_64")


@pytest.mark.parametrize(
    ("fingerprint", "platform", "architecture", "said"),
    [
        ("sha256:" + "0" * 64, "1.0", "x86_64", "its fingerprint is sha256:"),
        ("", "1.1", "x86_64", "it is for version 1.0, and this clone is 1.1"),
        ("", "1.0", "aarch64", "it is for x86_64, and this machine is aarch64"),
    ],
)
def test_another_bundle_is_refused(
    archive: Path, fingerprint: str, platform: str, architecture: str, said: str
) -> None:
    with pytest.raises(BundleError, match=said):
        Bundle(archive).refuse_unless(fingerprint, platform, architecture)


def test_one_that_lacks_something_is_refused(archive: Path) -> None:
    Bundle(archive).refuse_without(["localhost/app:1"], ["bin/tool/1.0-abc"])
    with pytest.raises(BundleError, match=r"it lacks bin/tool/1.1-def, localhost/app:2; make it anew"):
        Bundle(archive).refuse_without(["localhost/app:2"], ["bin/tool/1.1-def"])


def test_no_room_is_refused(archive: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(archive.parent)._replace(free=3_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(BundleError, match="66 MiB are needed and 2 MiB are free"):
        install(archive, cache)
    assert not cache.exists()


def test_a_changed_file_is_refused(archive: Path, cache: Path) -> None:
    def change(members: list[Member]) -> None:
        members[-1] = (members[-1][0], b"kind: Bad\n")

    rewrite(archive, change)
    with pytest.raises(BundleError, match=r"the checksum of manifests/prod_app.yaml is wrong"):
        install(archive, cache)
    assert tree(cache) == {}
    with pytest.raises(BundleError, match="checksum"):
        Bundle(archive).check()


def test_a_changed_index_has_another_fingerprint(archive: Path) -> None:
    before = Bundle(archive).fingerprint
    reindex(archive, architecture="riscv64")
    with pytest.raises(BundleError, match="fingerprint"):
        Bundle(archive).refuse_unless(before, "1.0", "riscv64")


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "bin/../../evil", "other/file", "bin", "images/.hidden", "bin//x"]
)
def test_a_path_out_of_the_cache_is_refused(archive: Path, cache: Path, name: str) -> None:
    content = [vars(File(name, 1, "0" * 64, executable=False))]
    reindex(archive, files=content, images=[])
    with pytest.raises(BundleError, match="no bundle may write"):
        install(archive, cache)
    assert not cache.exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_what_is_no_file_is_refused(archive: Path, cache: Path, kind: bytes) -> None:
    def change(members: list[Member]) -> None:
        member = members[1][0]
        member.type, member.linkname = kind, "/etc/passwd"
        members[1] = (member, b"")

    rewrite(archive, change)
    with pytest.raises(BundleError, match=r"is not what its bundle.json says"):
        install(archive, cache)
    assert tree(cache) == {}


def test_a_file_more_and_a_file_less_are_refused(archive: Path, cache: Path) -> None:
    whole = archive.read_bytes()
    rewrite(archive, lambda members: members.append((tarfile.TarInfo("../evil"), b"x")))
    with pytest.raises(BundleError, match=r"evil' in it is not"):
        install(archive, cache)
    archive.write_bytes(whole)
    rewrite(archive, lambda members: members.__delitem__(-1))
    with pytest.raises(BundleError, match=r"manifests/prod_app.yaml is missing in it"):
        install(archive, cache)
    assert tree(cache) == {}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.9])
def test_a_truncated_archive_is_refused(archive: Path, cache: Path, share: float) -> None:
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BundleError):
        install(archive, cache)
    assert not cache.exists() or tree(cache) == {}


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle(path)
    path.write_text("hello")
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle(path)
    with tarfile.open(path, "w") as tar:
        tar.add(__file__, "x.py")
    with pytest.raises(BundleError, match=r"does not begin with bundle.json"):
        Bundle(path)
    with gzip.open(path, "wb") as file:
        file.write(b"no tar")
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "its format is 2, and this clone reads 1"),
        ({"files": [{}]}, "cannot be read"),
        ({"images": [IMAGE | {"path": "images/none.tar"}]}, "an image without a file"),
        ({"files": [vars(File("images/a", 1, "0", executable=False))] * 2, "images": []}, "names a file twice"),
    ],
)
def test_an_index_that_is_wrong_is_refused(archive: Path, changes: dict[str, Any], said: str) -> None:
    reindex(archive, **changes)
    with pytest.raises(BundleError, match=said):
        Bundle(archive)


def test_a_failed_write_leaves_nothing(tmp_path: Path, index: Index, sources: dict[str, Path]) -> None:
    target = tmp_path / "out" / "x.bundle"
    target.parent.mkdir()
    sources["images/app-1.tar"].unlink()
    with pytest.raises(FileNotFoundError):
        write(target, index, sources)
    assert list(target.parent.iterdir()) == []


def test_the_digest_of_an_image(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"

    def archive(name: str, content: Any) -> None:
        text = json.dumps(content).encode()
        with tarfile.open(path, "w") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))

    archive("index.json", {"manifests": [{"digest": "sha256:abc"}]})
    assert image_digest(path) == "sha256:abc"
    archive("manifest.json", [{"Config": "blobs/sha256/def"}])
    assert image_digest(path) == "sha256:def"
    archive("manifest.json", [{"Config": "012.json"}])
    assert image_digest(path) == "sha256:012"
    archive("other", {})
    with pytest.raises(BundleError, match="is no archive of an image"):
        image_digest(path)


def test_the_role_knows_the_collections_version() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert yaml.safe_load((ROOT / "roles/bundle/vars/main.yml").read_text())["__bundle_platform"] == version
