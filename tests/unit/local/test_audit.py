"""`make audit` where the database cannot be reached, or never answers: a clear sentence, and never a pass."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT

from infra.local import audit


def an_auditor(folder: Path, script: str) -> Path:
    """What stands for uv: it writes the list that is to be looked through, and then does as `script` says."""
    path = folder / "uv"
    path.write_text(f"#!/bin/sh\nif [ $1 = export ]; then exit 0; fi\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("script", "status", "said"),
    [
        ("exit 0", 0, ""),
        ("echo 'Found 1 known vulnerability' >&2; exit 1", 1, "Found 1 known vulnerability"),
        ("echo 'ConnectionError: no route' >&2; exit 1", 1, "database cannot be reached"),
        ("echo 'ERROR: x could not be audited' >&2; exit 0", 1, "database cannot be reached"),
        ("exec sleep 30", 1, "did not end within 1 s"),
    ],
)
def test_what_it_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    script: str,
    status: int,
    said: str,
) -> None:
    monkeypatch.setattr(audit, "SECONDS", 1)
    assert audit.audit(an_auditor(tmp_path, script)) == status
    assert said in capfd.readouterr().err


def test_every_package_that_is_deployed_has_its_hashes() -> None:
    """What functions and images install, as pip is told to want it."""
    text = (ROOT / "layers" / "deps" / "requirements.txt").read_text().replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(packages) > 10
    assert [line for line in packages if not re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)] == []
    installs = [ROOT / "layers" / "deps" / "Makefile", *(ROOT / "infra" / "images").glob("*/Dockerfile")]
    assert len(installs) >= 4
    for path in installs:
        for command in re.findall(r"pip install(?:.|\\\n)*", path.read_text()):
            assert "--require-hashes" in command, path
