"""What only who runs an installation may do, with their own AWS credentials instead of a token."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from trainyard.cli.client import ApiError
from trainyard.cli.terminal import command, print_json, wants_json, with_json

if TYPE_CHECKING:
    from trainyard.store.table import Table

_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def add(subparsers: Any) -> None:
    words = "for operators, with their AWS credentials"
    own = subparsers.add_parser("operator", help=words, description=words)
    own = own.add_subparsers(required=True, metavar="COMMAND")
    token = with_json(command(own, "token", _token, "make an access token, the first of an installation for one"))
    token.add_argument("user", help="whose it is to be")
    token.add_argument("--scope", action="append", choices=("read", "write", "operate"), help="operate, if left out")
    token.add_argument("--name", default="made by an operator", help="what it is for")
    token.add_argument("--stack", default="trainyard", help="name of the CloudFormation stack; trainyard if left out")


def _token(options: argparse.Namespace) -> None:
    from trainyard.model.repository import Scope
    from trainyard.store.access import issue_token

    if not _USER.fullmatch(options.user):
        raise ApiError(0, "no_name", f"{options.user!r} is no user name: letters, digits, dots, hyphens, underscores")
    scopes = [Scope(scope) for scope in options.scope or ["operate"]]
    secret, made = issue_token(_table(options.stack), options.user, scopes, options.name)
    if wants_json(options):
        print_json({"id": made.id, "user": made.user, "scopes": scopes, "token": secret})
    else:
        print(secret)


def _table(stack: str) -> Table:
    """The table of a stack, by the stack's outputs; ApiError where there is none or it may not be seen."""
    from trainyard.store.table import Table

    return Table(_output(stack, "TableName"))


def _output(stack: str, name: str) -> str:
    try:
        from botocore.exceptions import BotoCoreError, ClientError

        from trainyard.clients import client
    except ImportError:
        raise ApiError(0, "no_boto3", "this needs AWS's client: pip install 'trainyard[server]'") from None
    try:
        found = client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except (ClientError, BotoCoreError) as error:
        raise ApiError(0, "no_stack", f"the stack {stack} cannot be read with these AWS credentials: {error}") from None
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
    if name not in outputs:
        raise ApiError(
            0, "no_output", f"the stack {stack} has no output {name}: is it Trainyard's, and deployed whole?"
        )
    return str(outputs[name])
