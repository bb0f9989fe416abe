"""Every query of every panel is put to the running Prometheus and Loki: it can be read, and it finds something.

Panels that may show nothing say why in their description; `make dashboards` draws what is found here.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from scripts.dashboards.__main__ import FOLDER
from scripts.dashboards.live import KUBECTL, Live, QueryError
from scripts.dashboards.panels import Panel, panels
from scripts.dashboards.platform import NO_ARGOCD
from tests.e2e.conftest import EDGE, kept_by_argocd, kubectl

PANELS = [panel for path in sorted(FOLDER.glob("*.json")) for panel in panels(path)]
NAMED = [pytest.param(panel, id=f"{panel.dashboard}-{panel.title}") for panel in PANELS]
LOAD_SECONDS = 100
"""Three scrapes, so that there are rates."""


@pytest.fixture(scope="module")
def live() -> Live:
    """The running Prometheus."""
    if not kubectl("get", "prometheuses", "--namespace", "monitoring", "--ignore-not-found", check=False).strip():
        pytest.skip("no Prometheus in this platform")
    return Live(kubectl=(str(Path(sys.executable).parent / KUBECTL[0]), *KUBECTL[1:]), seconds=600)


@pytest.fixture(scope="module")
def loki(live: Live) -> bool:
    """Whether there is a Loki."""
    return live.has_loki()


@pytest.fixture(scope="module", autouse=True)
def load(live: Live) -> None:
    """Readers, searchers, and some who ask for what they may not have, for a while."""
    assert live.prometheus
    paths = ("/blog/", "/blog/?q=titanium", "/blog/api/posts", "/blog/api/posts?q=post", "/blog/api/posts/1/comments")
    wrong = (("/blog/api/posts", b"{}"), ("/api/login", b'{"username": "nobody", "password": "wrong-password"}'))
    end = time.monotonic() + LOAD_SECONDS
    with httpx.Client(base_url=EDGE, timeout=10) as client:
        while time.monotonic() < end:
            for path in paths:
                client.get(path)
            for path, body in wrong:
                client.post(path, content=body, headers={"Content-Type": "application/json"})
            time.sleep(0.5)


@pytest.mark.parametrize("panel", NAMED)
def test_panel(panel: Panel, live: Live, loki: bool) -> None:
    if (panel.source == "loki" or panel.dashboard == "Logs") and not loki:
        pytest.skip("no Loki in this platform")
    found = []
    for expression, _ in panel.queries:
        try:
            found.append(bool(live.ask(panel.source, expression)))
        except QueryError as error:
            pytest.fail(f"refused: {expression}: {error}")
    # One that is said to be empty without Argo CD must not be with it.
    reason = "" if panel.may_be_empty == NO_ARGOCD and kept_by_argocd() else panel.may_be_empty
    assert any(found) or reason, f"nothing found: {[expression for expression, _ in panel.queries]}"


def test_pictures(live: Live, tmp_path: Path) -> None:
    assert live.prometheus
    command = [sys.executable, "-m", "scripts.dashboards.render", str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert process.returncode == 0, process.stderr
    pictures = sorted(path.stem for path in tmp_path.glob("*.svg"))
    assert pictures == sorted(path.stem for path in FOLDER.glob("*.json"))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert all(f'src="{name}.svg"' in page for name in pictures)
    assert "REFUSED" not in page
