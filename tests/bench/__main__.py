"""`make bench`: every measure, one JSON line each; `make bench ONLY="way logs"` takes those of bench_way and bench_logs.

Nothing here passes or fails. Each file runs in a process of its own, so that one's memory is not another's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

KNOWN = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))


def main(wanted: list[str]) -> int:
    if unknown := sorted(set(wanted) - set(KNOWN)):
        print(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(KNOWN)}", file=sys.stderr)
        return 2
    codes = [
        subprocess.run([sys.executable, "-m", f"tests.bench.bench_{name}"], check=False).returncode
        for name in wanted or KNOWN
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
