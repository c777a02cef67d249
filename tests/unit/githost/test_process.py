"""The host as the stack starts it: a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from unit.githost.little_stack import LittleStack, Person

from infra.local.emulator.state import CREDENTIALS

REPOSITORY_ROOT = Path(__file__).parents[3]


def test_it_says_where_it_is_creates_a_repository_and_ends_at_sigterm(
    stack: LittleStack, aws: str, tmp_path: Path, person: Person
) -> None:
    name = stack.state.table.name
    options = ["--root", str(tmp_path / "other"), "--aws-endpoint", aws, "--table", name, "--bucket", name]
    options += ["--secrets-prefix", f"/{name}", "--api-url", stack.api_address]
    packages = f"{REPOSITORY_ROOT}:{REPOSITORY_ROOT}/layers/core/python"
    # Only the account's own key: whatever else the environment holds, such as a session's token, is nobody's here.
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": packages, **CREDENTIALS}
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.githost", *options],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=REPOSITORY_ROOT,
    )
    try:
        assert process.stdout
        ready = json.loads(process.stdout.readline())
        token_file = Path(ready["admin_token_file"])
        assert token_file.stat().st_mode & 0o077 == 0
        new = {"full_name": "ada/work", "kind": "project"}
        assert create(ready["address"], "wrong", new) == 401
        assert create(ready["address"], token_file.read_text(), new) == 201
        assert create(ready["address"], token_file.read_text(), new) == 409
        assert create(ready["address"], token_file.read_text(), {"full_name": "../x", "kind": "project"}) == 422
        where = ready["address"].removeprefix("http://")
        person.run(f"git ls-remote http://ada:{stack.token('ada')}@{where}/ada/work.git")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def create(address: str, token: str, document: dict) -> int:
    request = urllib.request.Request(
        f"{address}/_admin/repositories", json.dumps(document).encode(), {"Authorization": f"Bearer {token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
