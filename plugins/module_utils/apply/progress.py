"""Tell whoever looks at the terminal what is being waited for."""

from __future__ import annotations

import os
import time
from pathlib import Path

VARIABLE = "TITANIUM_PROGRESS_FILE"
_FIRST = 5.0
_AGAIN = 30.0


class Progress:
    """Writes lines for the action plugin to show; silent when nobody reads them.

    Parameters:
        component: named in every line.
    """

    def __init__(self, component: str) -> None:
        self._component = component
        path = os.environ.get(VARIABLE)
        self._path = Path(path) if path else None
        self._last_text = ""
        self._last_time = 0.0

    def due(self, started: float) -> bool:
        """Whether a wait that began at ``started`` (monotonic seconds) is worth a line by now."""
        now = time.monotonic()
        return self._path is not None and now - started >= _FIRST and now - self._last_time >= _FIRST

    def say(self, text: str, started: float) -> None:
        """Show what is waited for, at once if it is news and every half minute if it is not."""
        now = time.monotonic()
        if self._path is None or (text == self._last_text and now - self._last_time < _AGAIN):
            return
        self._last_text, self._last_time = text, now
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{self._component}: {int(now - started)} s: {' '.join(text.split())}\n")
        except OSError:
            self._path = None  # progress is a courtesy
