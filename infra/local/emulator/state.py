"""Where the emulator keeps things, and what it is told at its start."""

from __future__ import annotations

import json
from pathlib import Path

REGION = "us-east-1"
ACCOUNT = "000000000000"
# Credentials of no one: the emulator takes any, and no real ones may reach it or what it runs.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
}


def settings(state: Path, port: int, api_port: int, *, keep: bool) -> dict[str, str]:
    """The environment the emulator is imported in; its functions inherit it. Remembers the ports."""
    _move_addresses(state, port)
    _rewind_streams(state)
    (state / "ports.json").write_text(json.dumps({"port": port, "api_port": api_port}))
    return {
        **CREDENTIALS,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "IOT_MTLS_ENABLED": "0",  # would listen on a fixed port, on every interface
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": "unix:///nonexistent",  # never look for Docker
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(state / "tmp"),  # unpacked functions and layers
        "PERSIST_STATE": "1" if keep else "0",
        "STATE_DIR": str(state / "services"),
        "S3_PERSIST": "1" if keep else "0",
        "S3_DATA_DIR": str(state / "s3"),
        "AUTH": "true",  # roles, signatures and the time of presigned addresses hold as on AWS
        # AWS's own limit, 1,000, would let a burst take the machine: each takes some 80 MB. Two dozen people who follow
        # logs, and hold a function each while they wait, must still leave room for what comes from git hosts and jobs.
        "LAMBDA_ACCOUNT_CONCURRENCY": "64",
    }


def remembered_ports(state: Path) -> tuple[int, int]:
    """(AWS endpoint, HTTP API) of the last start; zeros where there was none."""
    try:
        ports = json.loads((state / "ports.json").read_text())
    except FileNotFoundError:
        return 0, 0
    return ports["port"], ports["api_port"]


def _move_addresses(state: Path, port: int) -> None:
    """Saved queue addresses name the port they were made under; when that is taken by now, rename them."""
    old, _ = remembered_ports(state)
    if old in (0, port):
        return
    for saved in (state / "services").glob("*.json"):
        saved.write_text(saved.read_text().replace(f"localhost:{old}/", f"localhost:{port}/"))


def _rewind_streams(state: Path) -> None:
    """The emulator saves how far a table's stream was read but not the stream, which begins anew: so must the reading.

    Otherwise as many changes as were read before would pass unseen after a restart.
    """
    saved = state / "services" / "lambda.json"
    if not saved.exists():
        return
    content = json.loads(saved.read_text())
    positions = content["payload"]["dynamodb_stream_positions"]["data"]
    positions.update(dict.fromkeys(positions, 0))
    saved.write_text(json.dumps(content))
