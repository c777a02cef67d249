"""What every demo begins and ends with: a fresh stack and user, and a verdict that a person and a program can read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from infra.local.demo.scenario import DemoFailedError
from infra.local.demo.screen import Screen
from infra.local.demo.user import CommandFailedError, User
from infra.local.inside import new_token
from infra.local.stack import HOME, Stack
from trainyard.cli.client import ApiError

USER = "demo"

Act = Callable[[Stack, Screen, User], list[str]]
"""What is shown; gives a sentence for everything that is not right."""


def perform(name: str, screen: Screen, act: Act, success: str, *, keep: bool = False, ascend: bool = False) -> int:
    """Start a stack of that name, show `act` on it and say what came of it.

    Args:
        success: what to say where nothing is wrong.
        keep: leave the folder with what the user cloned and wrote.
        ascend: with a ModelArts of its own.

    Returns:
        The exit status: 0 only if nothing is wrong.
    """
    began = datetime.now(UTC)
    shutil.rmtree(HOME / name, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"trainyard-{name}-"))
    try:
        with Stack(name, keep=False, ascend=ascend, tell=screen.note) as stack:
            stack.warm()
            addresses = stack.addresses
            wrong = act(stack, screen, User(USER, new_token(addresses, USER), addresses.api, folder))
    except (DemoFailedError, CommandFailedError, ApiError) as error:
        wrong = [str(error)]
    finally:
        screen.stop_watching()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    seconds = (datetime.now(UTC) - began).total_seconds()
    for sentence in wrong:
        screen.console.print(f"[bold red]not right:[/] {sentence}")
    if not wrong:
        screen.console.print(f"\n[bold green]{success}[/] ({seconds:.0f} s)")
    return 1 if wrong else 0
