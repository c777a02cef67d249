"""`make audit`: pip-audit on everything that is locked, in an environment of its own, so that it is no dependency."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

AUDITOR = "pip-audit==2.10.1"
SECONDS = 600
_UV = Path(sys.executable).parent / "uv"
_EXPORT = ("export", "--frozen", "--quiet", "--all-extras", "--all-groups", "--no-emit-project", "--no-header")


def audit(uv: str | Path = _UV) -> int:
    """The auditor's exit status: 0 only where it looked and found nothing."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        subprocess.run([uv, *_EXPORT, "--output-file", requirements], check=True, stdout=subprocess.DEVNULL)
        # The lock names every package with its hashes, so nothing is resolved or built for the audit. Strict: a package
        # that could not be looked up is not one without faults.
        options = (
            "--strict",
            "--require-hashes",
            "--disable-pip",
            "--progress-spinner=off",
            "--requirement",
            requirements,
        )
        try:
            done = subprocess.run(
                [uv, "tool", "run", "--from", AUDITOR, "pip-audit", *options],
                check=False, timeout=SECONDS, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"The audit did not end within {SECONDS} s: nothing was checked.", file=sys.stderr)
            return 1
    said = done.stderr.strip()
    if "Traceback" in said or "ConnectionError" in said or "could not be audited" in said:
        last = said.splitlines()[-1][:300]
        print(f"The vulnerability database cannot be reached, so not everything was checked: {last}", file=sys.stderr)
        return done.returncode or 1
    print(said, file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(audit())
