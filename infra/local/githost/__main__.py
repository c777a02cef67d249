"""`python -m infra.local.githost`: serve until SIGTERM; the first line on stdout is JSON with the address."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from infra.local.githost.host import open_host
from trainyard.store.secrets import Secrets
from trainyard.store.table import Table


def main(arguments: list[str]) -> None:
    options = _options(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    host = open_host(
        options.root.resolve(),
        options.port,
        options.api_url,
        Table(options.table, _client("dynamodb", options.aws_endpoint)),
        Secrets(options.secrets_prefix, _client("ssm", options.aws_endpoint)),
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ready = {"name": "githost", "address": host.address, "admin_token_file": str(host.admin_token_file)}
    print(json.dumps(ready), flush=True)
    host.run()


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.githost", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder for repositories, statuses and deliveries")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0: a free one")
    parser.add_argument("--aws-endpoint", required=True, help="address of the AWS emulator")
    parser.add_argument("--table", required=True, help="name of the DynamoDB table")
    parser.add_argument("--secrets-prefix", required=True, help="prefix of the SSM parameters")
    parser.add_argument("--api-url", required=True, help="root of the API: takes the webhooks, answers Git LFS")
    # Git LFS objects never pass here; the stack gives the same options to each of its servers.
    parser.add_argument("--bucket", default="", help="not used")
    return parser.parse_args(arguments)


def _client(service: str, endpoint: str) -> Any:
    import boto3

    make: Any = boto3.client
    return make(
        service,
        endpoint_url=endpoint,
        region_name=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        aws_access_key_id=os.environ.get("AWS_ACCESS_KEY_ID", "test"),
        aws_secret_access_key=os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
