"""What the real stack keeps of its table is enough to make another one, equal row for row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import count
from typing import Any

import pytest
from conftest import table_properties
from e2e.calls import call

from infra.local.emulator.client import client
from infra.local.emulator.state import CREDENTIALS
from infra.local.inside import new_token
from infra.local.stack import Stack
from trainyard.store.table import Table

pytestmark = pytest.mark.e2e
SECONDS = 60.0
"""Six times as long as the embedded stack gathers changes."""


def rows(stack: Stack, table: str) -> dict[str, Any]:
    pages = client(stack.addresses.endpoint, "dynamodb").get_paginator("scan").paginate(TableName=table)
    items = [item for page in pages for item in page["Items"] if item["kind"]["S"] != "count"]
    return {item["pk"]["S"]: Table.without_mark(item) for item in items}


def replayed(stack: Stack, table: str) -> Any:
    words = [sys.executable, "-m", "trainyard", "replay", "--table", table]
    own = {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": stack.addresses.endpoint}
    done = subprocess.run(words, env=own | CREDENTIALS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_another_table_is_made_of_the_journal(stack: Stack) -> None:
    token = new_token(stack.addresses, "kim")
    assert call(stack, token, "POST", "/v1/projects", {"name": "kim/lenet5", "visibility": "private"})[0] == 201
    original = stack.addresses.outputs["TableName"]
    deadline = time.monotonic() + SECONDS
    for attempt in count():
        # A new one each time: of a job whose end is not in the journal yet, a replay writes what the backend says,
        # and that is not taken back by the next.
        copy = f"copy-{attempt}"
        client(stack.addresses.endpoint, "dynamodb").create_table(TableName=copy, **table_properties())
        done = replayed(stack, copy)
        if rows(stack, copy) == rows(stack, original) or time.monotonic() > deadline:
            break
        time.sleep(2)
    assert rows(stack, copy) == rows(stack, original)
    assert (done["rows"]["newer"], done["pushes"]) == (0, 0)
