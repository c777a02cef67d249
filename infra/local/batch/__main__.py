"""`python -m infra.local.batch`: the server as a process of its own, which prints its address as one line of JSON."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from infra.local.batch import events
from infra.local.batch.launch import Image, RoleCredentials, credentials_of_nobody
from infra.local.batch.records import Place
from infra.local.batch.server import BatchServer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local.batch", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    parser.add_argument("--state", type=Path, help="JSON file that keeps the state across restarts")
    parser.add_argument("--work-dir", type=Path, help="folder for scratch/ and logs/ (default: temporary)")
    parser.add_argument(
        "--config",
        type=Path,
        help='JSON file: {"images": {NAME: {"command_prefix": [...], "env": {...}}}, "platform_env": {...}}',
    )
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", default="000000000000")
    parser.add_argument("--aws-endpoint", help="address of the AWS emulator that gets the events and the logs")
    parser.add_argument("--event-source", default="aws.batch")
    parser.add_argument("--event-bus", default="default")
    parser.add_argument("--ship-logs", action="store_true", help="ship job output to CloudWatch Logs of the emulator")
    parser.add_argument("--grace", type=float, default=30.0, help="seconds between SIGTERM and SIGKILL")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the program that holds our stdin")
    return parser


def _client(name: str, options: argparse.Namespace) -> Any:
    """A client of the emulator, with AWS's own variables for the credentials, or any when there are none."""
    import boto3
    from botocore.config import Config

    # Short of botocore's own minute: an emulator that hangs must not hold up the end of this server.
    bounded = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    return boto3.Session(
        region_name=options.region,
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "local"),
        aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "local"),
    ).client(name, endpoint_url=options.aws_endpoint, config=bounded)  # type: ignore[call-overload]


def make_server(options: argparse.Namespace) -> BatchServer:
    """The server that the command line asks for, not started."""
    config = json.loads(options.config.read_text(encoding="utf-8")) if options.config else {}
    emulator = options.aws_endpoint is not None
    return BatchServer(
        images={name: Image.from_json(each) for name, each in config.get("images", {}).items()},
        platform_env=config.get("platform_env", {}),
        on_event=events.to_event_bridge(_client("events", options), options.event_bus) if emulator else None,
        event_source=options.event_source,
        logs_client=_client("logs", options) if emulator and options.ship_logs else None,
        state_file=options.state,
        work_dir=options.work_dir,
        port=options.port,
        place=Place(options.region, options.account),
        grace=options.grace,
        role_credentials=_assumed(_client("sts", options)) if emulator else credentials_of_nobody,
    )


def _assumed(sts: Any) -> RoleCredentials:
    """The role's own credentials, of which the emulator holds to what the role allows where it enforces IAM."""

    def assume(role: str) -> dict[str, str]:
        name = role.rpartition("/")[2]
        given = sts.assume_role(RoleArn=role, RoleSessionName="batch")["Credentials"]
        return {
            "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["SessionToken"],
            # How the call counter tells its calls apart.
            "AWS_SDK_UA_APP_ID": name[:50],
        }

    return assume


def _wait_for_the_end(until_stdin_closes: bool) -> None:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if until_stdin_closes:

        def watch() -> None:
            # Not through sys.stdin: a thread that holds its lock makes the interpreter abort at its end.
            while os.read(0, 4096):
                pass
            ended.set()

        threading.Thread(target=watch, daemon=True).start()
    ended.wait()


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="batch: %(levelname)s %(message)s")
    with make_server(options) as server:
        ready = {"address": server.endpoint, "pid": os.getpid(), "logs": str(server.logs_dir)}
        print(json.dumps(ready), flush=True)
        _wait_for_the_end(options.until_stdin_closes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
