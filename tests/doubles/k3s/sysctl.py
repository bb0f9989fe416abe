"""sysctl that notes what it is told: the kernel is not the test's alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path

if __name__ == "__main__":
    lines = Path(sys.argv[-1]).read_text().splitlines()
    pairs = [line.partition("=")[::2] for line in lines if line.strip() and not line.startswith("#")]
    Path("/run/sysctl.json").write_text(json.dumps({key.strip(): value.strip() for key, value in pairs}))
