"""What goes into a build, and the bill of what came out."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils import sbom
from plugins.modules import image_build
from plugins.modules.image_build import Apt, Build, BuildError, applicable, run

REQUIREMENTS = """\
# comment
both==1 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
old==1 ; python_full_version < '3.12' \\
    --hash=sha256:cc
new==2 ; python_full_version >= '3.12' \\
    --hash=sha256:dd
"""


def test_requirements_hold_for_the_image_not_for_this_host() -> None:
    assert applicable(REQUIREMENTS, "3.13").split() == [
        "#", "comment", "both==1", "--hash=sha256:aa", "--hash=sha256:bb", "new==2", "--hash=sha256:dd",
    ]  # fmt: skip
    assert "old==1" in applicable(REQUIREMENTS, "3.11")
    assert "new==2" not in applicable(REQUIREMENTS, "3.11")


def test_missing_command_is_named_with_the_mend() -> None:
    with pytest.raises(BuildError, match=r"no command 'no-such-tool' on this host. Mend: apt-get install no-such-tool"):
        run("looking", "no-such-tool")


def test_failed_step_shows_the_end_of_its_output() -> None:
    with pytest.raises(BuildError) as caught:
        run("counting", "sh", "-c", "seq 100; echo boom >&2; exit 3")
    lines = str(caught.value).splitlines()
    assert lines[0] == "counting failed (sh ended with 3):"
    assert lines[-1] == "boom"
    assert "1" not in lines


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An APT that knows what the test says, by the command's first words."""
    answers = {
        "Label: Debian": "http://mirror.test/debian/\nhttp://second.test/debian/\n",
        "Label: Debian-Security": "",
    }

    def answer(step: str, *command: str, **_: Any) -> str:
        del step
        if command[0] == "apt-config":
            return 'Acquire::http::Proxy "http://proxy.test";\nAcquire::IndexTargets::deb "";\n'
        return answers[command[-1]]

    monkeypatch.setattr(image_build, "run", answer)
    return answers


def test_first_mirror_of_this_host_is_used(apt: dict[str, str], tmp_path: Path) -> None:
    del apt
    Apt("trixie", None, None).write_sources(tmp_path / "sources")
    lines = (tmp_path / "sources").read_text().splitlines()
    assert [line.split("] ")[1] for line in lines] == [
        "http://mirror.test/debian/ trixie main",
        "http://mirror.test/debian/ trixie-updates main",
    ]


def test_given_mirrors_come_first(apt: dict[str, str], tmp_path: Path) -> None:
    del apt
    Apt("trixie", "http://a.test", "http://b.test").write_sources(tmp_path / "sources")
    assert "http://a.test trixie-updates" in (tmp_path / "sources").read_text()
    assert "http://b.test trixie-security" in (tmp_path / "sources").read_text()


def test_host_without_a_debian_mirror_is_told_what_to_do(apt: dict[str, str]) -> None:
    apt["Label: Debian"] = ""
    with pytest.raises(BuildError, match="images_debian_mirror"):
        Apt("trixie", None, None)


def test_ways_to_the_mirror_are_taken_over(apt: dict[str, str], tmp_path: Path) -> None:
    del apt
    Apt.write_configuration(tmp_path / "conf", Path("/ca.pem"))
    assert (
        tmp_path / "conf"
    ).read_text() == 'Acquire::http::Proxy "http://proxy.test";\nAcquire::https::CAInfo "/ca.pem";\n'


def test_context_holds_the_named_files_alone_whatever_the_umask(tmp_path: Path, apt: dict[str, str]) -> None:
    del apt
    source, work = tmp_path / "source", tmp_path / "work"
    (source / "package").mkdir(parents=True)
    work.mkdir()
    (source / "Dockerfile").write_text("FROM scratch\n")
    (source / "package/main.py").write_text("")
    (source / "secret").write_text("")
    (source / "package/main.py").chmod(0o600)
    image = {
        "context": str(source), "files": ["Dockerfile", "package/main.py"], "binaries": {}, "sources": {}, "base": "base:1", "digest": "d",
        "args": {"SERVICE": "x"}, "target": "t", "wheels": {}, "debian": "trixie", "refreshed": "2026-01-01",
    }  # fmt: skip
    old = os.umask(0o077)
    try:
        parameters = {"image": image, "storage": str(tmp_path / "storage"), "mirror": None, "security_mirror": None}
        context, arguments = Build(parameters, work).stage()
    finally:
        os.umask(old)
    assert sorted(str(p.relative_to(context)) for p in context.rglob("*") if p.is_file()) == [
        "Dockerfile",
        "package/main.py",
    ]
    assert (context / "package").stat().st_mode & 0o777 == 0o755
    assert (context / "package/main.py").stat().st_mode & 0o777 == 0o644
    assert {"--build-arg=BASE_IMAGE=base:1", "--build-arg=SERVICE=x", "--target=t"} <= set(map(str, arguments))


def test_failed_push_leaves_no_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(step: str, *command: str, **_: Any) -> str:
        partial = Path(str(command[-1]).split(":")[1])
        partial.write_text("half")
        raise BuildError(step)

    monkeypatch.setattr(image_build, "run", fail)
    archive = tmp_path / "archives/x.tar"
    parameters = {
        "image": {"refreshed": "2026-01-01", "reference": "r:1"},
        "storage": str(tmp_path),
        "archive": str(archive),
    }
    with pytest.raises(BuildError):
        Build(parameters, tmp_path).write_archive()
    assert list(archive.parent.iterdir()) == []


STATUS = """\
Package: one
Status: install ok installed
Architecture: amd64
Version: 1:1.0-1
Description: first line
 Version: not this one

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 2
"""


def test_bill_lists_debian_python_and_go(tmp_path: Path) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(STATUS)
    info = tmp_path / "opt/venv/lib/python3.13/site-packages/Some_Package-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: Some_Package\nVersion: 2.0\n")
    created = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

    def bill() -> str:
        extra = [sbom.go_module("example.org/tool", "v1.2.3")]
        return sbom.bill(tmp_path, name="x", version="1", distribution="debian-trixie", created=created, extra=extra)

    content = json.loads(bill())
    assert content["specVersion"] == "1.6"
    assert {component["purl"] for component in content["components"]} == {
        "pkg:deb/debian/one@1:1.0-1?arch=amd64&distro=debian-trixie",
        "pkg:pypi/some-package@2.0",
        "pkg:golang/example.org/tool@v1.2.3",
    }
    assert bill() == bill(), "the same content must give the same image"


def test_files_of_a_go_module_come_from_its_pinned_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, context = tmp_path / "module", tmp_path / "context"
    (module / "tools").mkdir(parents=True)
    context.mkdir()
    (module / "tools/template.json").write_text("{}")
    seen: list[str] = []

    def answer(step: str, *command: object) -> str:
        del step
        seen.extend(map(str, command))
        return json.dumps({"Dir": str(module)})

    monkeypatch.setattr(image_build, "run", answer)
    image = {
        "name": "proxy", "refreshed": "2026-01-01", "module": "example.org/mesh", "module_pin": "/pins/mesh",
        "sources": {"bootstrap.json": "tools/template.json"},
    }  # fmt: skip
    parameters = {"image": image, "storage": str(tmp_path / "storage"), "go": "/toolchain/go"}
    Build(parameters, tmp_path).module_files(context)
    assert (context / "bootstrap.json").read_text() == "{}"
    # No version is named: the one of go.mod is fetched, and go.sum has its checksum.
    assert seen[-5:] == ["/toolchain/go", "mod", "download", "-json", "example.org/mesh"]
    assert seen[seen.index("-C") + 1] == "/pins/mesh"


def test_without_go_no_module_can_be_fetched(tmp_path: Path) -> None:
    image = {"name": "proxy", "refreshed": "2026-01-01", "sources": {"a": "b"}}
    with pytest.raises(BuildError, match="Mend: set the module's option go"):
        Build({"image": image, "storage": str(tmp_path), "go": None}, tmp_path).module_files(tmp_path)
