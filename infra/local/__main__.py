"""`python -m infra.local up | down | demo`: what `make up`, `make down` and `make demo` run."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from types import FrameType

from infra.local.inside import new_token
from infra.local.stack import HOME, ROOT, Stack, down, running
from trainyard.model.errors import NotFound, UserError

UP_SECONDS = 180.0
_TOKEN_FILE = "token"  # noqa: S105 - a file's name


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start the stack and leave it running")
    up.add_argument("--hold", action="store_true", help="stay in the foreground until SIGTERM or Ctrl-C")
    commands.add_parser("down", help="stop the stack that `up` left running")
    demo = commands.add_parser("demo", help="push, train, evaluate, fine-tune")
    demo.add_argument("--keep", action="store_true", help="keep the demo's state for a look afterwards")
    commands.add_parser("demo-ascend", help="the same by way of ModelArts")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        if options.command == "up":
            return _hold() if options.hold else _up()
        if options.command == "demo-ascend":
            from infra.local.demo import ascend

            return ascend.play()
        return _down() if options.command == "down" else _demo(keep=options.keep)
    except UserError as error:
        print(error.message.en, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; nothing is left running", file=sys.stderr)
        return 130


def _up() -> int:
    """Start a process that holds the stack and return once it is ready."""
    if _running_already():
        return 0
    folder = HOME / "main"
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "up.log"
    with log.open("wb") as output:
        holder = subprocess.Popen(
            [sys.executable, "-m", "infra.local", "up", "--hold"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + UP_SECONDS
    while time.monotonic() < deadline and holder.poll() is None:
        if (folder / "ready").exists() and _running_already():
            return 0
        time.sleep(0.1)
    holder.terminate()
    print(f"the stack did not start; {log} ends with:\n{log.read_text(errors='replace')[-2000:]}", file=sys.stderr)
    return 1


def _hold() -> int:
    ready = HOME / "main" / "ready"
    ready.unlink(missing_ok=True)
    with Stack("main", keep=True, tell=print) as stack:
        token = HOME / "main" / _TOKEN_FILE
        if not token.exists():
            token.touch(mode=0o600)
            token.write_text(new_token(stack.addresses, "demo"))
        stack.warm()
        ready.touch()
        try:
            signal.pause()
        finally:
            ready.unlink(missing_ok=True)
    return 0


def _running_already() -> bool:
    """Print where everything is, if the stack runs."""
    try:
        addresses = running("main")
    except NotFound:
        return False
    token = HOME / "main" / _TOKEN_FILE
    if not token.exists():
        return False
    print(f"API        {addresses.api}")
    print(f"git        {addresses.git}")
    print(f"AWS        {addresses.endpoint}   (AWS_ENDPOINT_URL for the aws command line)")
    print("user       demo")
    print(f"token      {token.read_text()}")
    print("make down stops it; its state is kept for the next make up")
    return True


def _down() -> int:
    was_running = down("main")
    print("stopped" if was_running else "it was not running")
    return 0


def _demo(*, keep: bool) -> int:
    from infra.local.demo.play import play

    return play(keep=keep)


def _interrupted(_signal: int, _frame: FrameType | None) -> None:
    # One way out for Ctrl-C and SIGTERM: the stack is stopped on the way.
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
