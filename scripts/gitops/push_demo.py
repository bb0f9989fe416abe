"""Change the blog's banner by a push to the platform's git server, and watch it go live.

usage: python -m scripts.gitops.push_demo [--times N] [--text TEXT]    TEXT "" takes the banner away
prints of each push: seconds until the first answer showed it, until every answer did, and until Argo CD called it Synced and Healthy
"""

from __future__ import annotations

import argparse
import html
import sys
import time
import urllib.request
from dataclasses import dataclass
from statistics import median

from scripts.gitops.repository import Clone
from scripts.gitops.status import application, report, settled

EDGE = "http://127.0.0.1:31304"
# Answers in a row, each over a connection of its own, that make "every": old pods would have been asked for some of them.
IN_A_ROW = 30


@dataclass(frozen=True)
class Timing:
    """Seconds from the beginning of a push."""

    pushed: float
    first: float
    every: float
    synced: float


def shows(text: str) -> bool:
    """Whether the blog's page shows a banner of this text; empty for none."""
    with urllib.request.urlopen(f"{EDGE}/blog/", timeout=5) as answer:  # noqa: S310 - the address is ours
        page = answer.read().decode()
    return f'<p class="banner">{html.escape(text)}</p>' in page if text else '<p class="banner">' not in page


def push(clone: Clone, text: str, limit: float = 300) -> Timing:
    """Push a banner and wait until all of it is live; raise TimeoutError with Argo CD's reason if that takes longer than `limit`."""
    clone.banner(text)
    clone.commit(f"Banner: {text or 'none'}")
    started = time.monotonic()
    clone.push()
    pushed = time.monotonic() - started
    first = every = synced = 0.0
    row = 0
    while not (every and synced):
        passed = time.monotonic() - started
        if passed > limit:
            raise TimeoutError(report(application())[0])
        if not every:
            new = shows(text)
            row = row + 1 if new else 0
            first = first or (passed if new else 0.0)
            if row == 1:
                begun = passed
            if row >= IN_A_ROW:
                every = begun
        if every and not synced and settled(application(), clone.head):
            synced = time.monotonic() - started
        time.sleep(0.05 if every == 0 else 0.3)
    return Timing(pushed, first, every, synced)


def main() -> int:
    """Push as often as asked and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--text")
    asked = parser.parse_args()
    out = sys.stdout
    timings = []
    with Clone() as clone:
        for number in range(asked.times):
            text = asked.text if asked.text is not None else f"Pushed at {time.strftime('%H:%M:%S')}"
            timing = push(clone, text)
            timings.append(timing)
            if number == 0:
                out.write("push  accepted  first answer  every answer  Synced and Healthy\n")
            out.write(
                f"{number + 1:4d} {timing.pushed:8.1f}s {timing.first:12.1f}s {timing.every:12.1f}s {timing.synced:18.1f}s\n"
            )
            out.flush()
        if len(timings) > 1:
            out.write(f"median, until every answer was new: {median(t.every for t in timings):.1f} s\n")
        out.write(f"Look at {EDGE}/blog/; take it back with: make push-demo ARGS='--text \"\"'\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
