"""The page's files: read once, named by what is in them, kept by browsers for a year.

All files share one version, a digest of everything, in their path: `/blog/static/<version>/app.js`. So modules import each
other by plain relative names, and a page gets the files that belong to it.
"""

from __future__ import annotations

import gzip
from hashlib import blake2b
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from blog_service import palette
from blog_service.answers import send_answer
from blog_service.cache import Answer

if TYPE_CHECKING:
    from starlette.types import Scope, Send

PATH: Final = "/blog/static/"
_TYPES: Final = {
    "css": b"text/css; charset=utf-8",
    "js": b"text/javascript; charset=utf-8",
    "svg": b"image/svg+xml",
}


class Assets:
    """The files below `/blog/static/`."""

    def __init__(self) -> None:
        contents = {
            entry.name: entry.read_bytes()
            for entry in sorted(files("blog_service.page").joinpath("static").iterdir(), key=lambda entry: entry.name)
            if entry.name.rpartition(".")[2] in _TYPES
        }
        contents["style.css"] += palette.stylesheet().encode()
        digest = blake2b(digest_size=6)
        for name, content in contents.items():
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
        self.version = digest.hexdigest()
        self._answers: dict[tuple[bool, bool, str], Answer] = {}
        for name, content in contents.items():
            kind = _TYPES[name.rpartition(".")[2]]
            for zipped in (False, True):
                body = gzip.compress(content, 9, mtime=0) if zipped else content
                for versioned in (False, True):
                    lifetime = b"public, max-age=31536000, immutable" if versioned else b"no-cache"
                    headers = [(b"content-type", kind), (b"cache-control", lifetime), (b"vary", b"accept-encoding")]
                    if zipped:
                        headers.append((b"content-encoding", b"gzip"))
                    self._answers[versioned, zipped, name] = Answer(body, headers)

    def url(self, name: str) -> str:
        """Where a page finds the file called `name`."""
        return f"{PATH}{self.version}/{name}"

    async def send(self, scope: Scope, send: Send) -> bool:
        """Answer a GET or HEAD below `PATH`; False if there is no such file."""
        version, _, name = scope["path"][len(PATH) :].rpartition("/")
        zipped = any(key == b"accept-encoding" and b"gzip" in value for key, value in scope["headers"])
        # Another version's name means a page from before or after this one: it gets what there is, to be asked again.
        answer = self._answers.get((version == self.version, zipped, name))
        if answer is None or "/" in version:
            return False
        await send_answer(answer, scope, send)
        return True
