"""`python -m infra.local.emulator --state DIR`: AWS on loopback, as one process.

Prints one JSON line `{"endpoint", "api", "pid"}` when it serves. SIGTERM or SIGINT ends it and, with `--keep`, saves
its state; what is written before a SIGKILL is lost.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import sys
from pathlib import Path

from infra.local.emulator.state import remembered_ports, settings


def main() -> None:
    """Take the addresses, set the emulator's environment, serve until told to stop, leave nothing behind."""
    options = _options()
    options.state.mkdir(parents=True, exist_ok=True)
    endpoint, api = (_listen(port) for port in _ports(options))
    port, api_port = endpoint.getsockname()[1], api.getsockname()[1]
    temporary = options.state / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(exist_ok=True)  # processes of a stack that was killed may still leave something there
    # All of it must be set before the emulator is imported: it reads its settings at import.
    os.environ.update(settings(options.state, port, api_port, keep=options.keep))
    sys.executable = str(_bare_interpreter(options.state))
    _raise_file_limit()
    try:
        _serve(options.state, endpoint, api)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        _end_workers()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.emulator", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder of everything it writes")
    parser.add_argument("--port", type=int, default=0, help="AWS endpoint; 0: as before, or a free one")
    parser.add_argument(
        "--api-port", type=int, default=0, help="front door of the HTTP API; 0: as before, or a free one"
    )
    parser.add_argument("--keep", action="store_true", help="save the state at the end and load it at the start")
    options = parser.parse_args()
    options.state = options.state.resolve()
    return options


def _ports(options: argparse.Namespace) -> tuple[int, int]:
    port, api_port = remembered_ports(options.state) if options.keep else (0, 0)
    return options.port or port, options.api_port or api_port


def _listen(port: int) -> socket.socket:
    """A listening socket on loopback: the remembered port if it is free, else any."""
    for candidate in (port, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
        except OSError:
            listener.close()
            continue
        listener.listen(128)
        return listener
    raise RuntimeError("loopback has no free port")


def _bare_interpreter(state: Path) -> Path:
    """An interpreter that sees no installed packages, so that a package missing from the layers is missing here too.

    The emulator runs functions with `sys.executable`, which would be the development environment's.
    """
    import venv

    home = state / "interpreter"
    shutil.rmtree(home, ignore_errors=True)  # the Python behind it may have been upgraded or removed
    venv.create(home, symlinks=True, with_pip=False)
    return home / "bin" / "python"


def _raise_file_limit() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _serve(state: Path, endpoint: socket.socket, api: socket.socket) -> None:
    import asyncio

    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    from infra.local.emulator.gateway import Gateway
    from infra.local.emulator.index_order import keep_indexes_in_order
    from infra.local.emulator.nested_stacks import keep_what_stands
    from infra.local.emulator.rule_arns import name_rules_as_aws
    from infra.local.emulator.streams import read_streams_as_aws_does
    from infra.local.emulator.throttling import (
        poll_as_wide_as_the_machine,
        start_as_many_at_once_as_there_are_cores,
        wait_while_throttled,
    )

    keep_what_stands()
    keep_indexes_in_order()
    poll_as_wide_as_the_machine()
    start_as_many_at_once_as_there_are_cores()
    wait_while_throttled()
    read_streams_as_aws_does()
    name_rules_as_aws()
    port, api_port = endpoint.getsockname()[1], api.getsockname()[1]

    def ready() -> None:
        addresses = {"endpoint": f"http://127.0.0.1:{port}", "api": f"http://127.0.0.1:{api_port}", "pid": os.getpid()}
        print(json.dumps(addresses), flush=True)

    config = Config()
    config.bind = [f"fd://{endpoint.fileno()}", f"fd://{api.fileno()}"]
    config.keep_alive_timeout = 75
    config.loglevel = "WARNING"
    config.graceful_timeout = 1
    config.shutdown_timeout = 10

    async def until_told() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        gateway = Gateway(app, api_port=api_port, memory=state / "front-door", on_ready=ready)
        await serve(gateway, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]

    asyncio.run(until_told())


def _end_workers() -> None:
    """End the functions' processes, which share this process's group, and then this one at once.

    The emulator's own threads know no end; its state is saved by now.
    """
    if os.getpgrp() == os.getpid():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(0, signal.SIGTERM)
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
