"""What a container sees of this machine's packages: its own and no others."""

import subprocess

from infra.local.deploy.dependencies import RUNNER, interpreter
from infra.local.deploy.stack import CACHE
from infra.local.stack import ROOT


def test_the_runner_finds_what_its_image_holds_and_nothing_of_the_development_environment():
    python = interpreter(ROOT, CACHE, RUNNER) / "python"
    assert python.parent == interpreter(ROOT, CACHE, RUNNER)
    imported = "import boto3, pydantic, uv"
    assert subprocess.run([python, "-c", imported], env={}, check=False).returncode == 0
    for foreign in ("moto", "awscrt", "OpenSSL", "trainyard"):
        found = subprocess.run([python, "-c", f"import {foreign}"], env={}, capture_output=True, check=False)
        assert b"ModuleNotFoundError" in found.stderr, foreign
