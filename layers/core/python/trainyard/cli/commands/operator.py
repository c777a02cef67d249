"""What only who runs an installation may do, with their own AWS credentials instead of a token."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trainyard.cli.client import ApiError
from trainyard.cli.terminal import command, print_json, print_table, wants_json, with_json

if TYPE_CHECKING:
    from trainyard.store.table import Table

BEGIN = datetime(2000, 1, 1, tzinfo=UTC)


def add(subparsers: Any) -> None:
    again = with_json(command(subparsers, "redrive", _redrive, "send what could not be done back to its queues"))
    again.add_argument("--stack", default="trainyard", help="name of the CloudFormation stack; trainyard if left out")
    again.add_argument("--queue", help="only this consumer's, such as index_logs")
    again.add_argument("--most", type=int, default=10_000, metavar="N", help="messages of each queue at most")
    back = with_json(command(subparsers, "replay", _replay, "make rows of the table again from the kept journal"))
    back.add_argument("--stack", default="trainyard", help="name of the CloudFormation stack; trainyard if left out")
    back.add_argument(
        "--from", dest="since", type=_moment, default=BEGIN, metavar="TIME", help="from the beginning, if left out"
    )
    back.add_argument(
        "--to",
        dest="until",
        type=_moment,
        metavar="TIME",
        help="2026-01-31 or 2026-01-31T12:00+08:00; now, if left out",
    )
    back.add_argument("--table", help="another table to write to; the stack's own, if left out")
    back.add_argument("--dry-run", action="store_true", help="only say what would come of it")
    words = "for operators, with their AWS credentials"
    own = subparsers.add_parser("operator", help=words, description=words)
    own = own.add_subparsers(required=True, metavar="COMMAND")
    token = with_json(command(own, "token", _token, "make an access token, the first of an installation for one"))
    token.add_argument("user", help="whose it is to be")
    token.add_argument("--scope", action="append", choices=("read", "write", "operate"), help="operate, if left out")
    token.add_argument("--name", default="made by an operator", help="what it is for")
    token.add_argument("--stack", default="trainyard", help="name of the CloudFormation stack; trainyard if left out")
    words = "enter repositories of before there were lists of what is shared and public, once after the upgrade"
    lists = with_json(command(own, "list-unlisted", _list_unlisted, words))
    lists.add_argument("--stack", default="trainyard", help="name of the CloudFormation stack; trainyard if left out")


def _token(options: argparse.Namespace) -> None:
    from trainyard.model.repository import USER_NAME, Scope
    from trainyard.store.access import issue_token

    if not re.fullmatch(USER_NAME, options.user):
        raise ApiError(0, "no_name", f"{options.user!r} is no user name: letters, digits, dots, hyphens, underscores")
    scopes = [Scope(scope) for scope in options.scope or ["operate"]]
    secret, made = issue_token(_table(options.stack), options.user, scopes, options.name)
    if wants_json(options):
        print_json({"id": made.id, "user": made.user, "scopes": scopes, "token": secret})
    else:
        print(secret)


def _list_unlisted(options: argparse.Namespace) -> None:
    made = _table(options.stack).list_unlisted()
    if wants_json(options):
        print_json({"listed": made})
    else:
        print(f"{made} entries made")


def _redrive(options: argparse.Namespace) -> None:
    """The reason that they failed should be mended first: what fails again comes back."""
    from trainyard.store.queues import dead_letter_queues, redrive

    sqs = _client("sqs")
    wanted = f"{options.stack}-{options.queue}" if options.queue else None
    queues = [pair for pair in dead_letter_queues(sqs, options.stack) if wanted in (None, pair[1].rsplit("/", 1)[1])]
    if not queues:
        raise ApiError(0, "no_queue", f"the stack {options.stack} has no such queue in this account and region")
    done = [redrive(sqs, dead, queue, options.most) for dead, queue in queues]
    if wants_json(options):
        print_json({"queues": [asdict(one) for one in done]})
    else:
        print_table(("QUEUE", "SENT BACK", "LEFT"), [(one.name, one.moved, one.left) for one in done])


def _moment(text: str) -> datetime:
    """UTC where no other zone is given."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write 2026-01-31 or 2026-01-31T12:00+08:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _replay(options: argparse.Namespace) -> None:
    """First the journal, then what was pushed and asked for and it does not know yet. Jobs are the sweep's."""
    from trainyard.intake.lost_pushes import receive_lost_pushes
    from trainyard.intake.lost_requests import receive_lost_requests
    from trainyard.store import State, journal
    from trainyard.store.bus import Bus
    from trainyard.store.objects import Objects
    from trainyard.store.secrets import Secrets
    from trainyard.store.table import PutBack, Table

    until = options.until or datetime.now(UTC)
    if until <= options.since:
        raise ApiError(0, "no_time", "--to must be later than --from")
    table = Table(options.table or _output(options.stack, "TableName"))
    objects = Objects(_output(options.stack, "BucketName"))
    done = journal.replay(objects, table, options.since, until, write=not options.dry_run)
    state = State(table, objects, Secrets(_output(options.stack, "SecretsPrefix")), Bus(""))
    pushes = receive_lost_pushes(state, options.since, until, done.rows, write=not options.dry_run)
    requests = receive_lost_requests(state, options.since, until, done.rows, write=not options.dry_run)
    rows = {outcome.value: done.outcomes.get(outcome, 0) for outcome in PutBack}
    if wants_json(options):
        print_json({"rows": rows, "pushes": pushes, "requests": requests})
    else:
        heading = ("WRITTEN", "REMOVED", "SAME", "NEWER", "PUSHES", "REQUESTS")
        print_table(heading, [(*rows.values(), pushes, requests)])


def _table(stack: str) -> Table:
    """The table of a stack, by the stack's outputs; ApiError where there is none or it may not be seen."""
    from trainyard.store.table import Table

    return Table(_output(stack, "TableName"))


def _output(stack: str, name: str) -> str:
    cloudformation = _client("cloudformation")
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except (ClientError, BotoCoreError) as error:
        raise ApiError(0, "no_stack", f"the stack {stack} cannot be read with these AWS credentials: {error}") from None
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}
    if name not in outputs:
        raise ApiError(
            0, "no_output", f"the stack {stack} has no output {name}: is it Trainyard's, and deployed whole?"
        )
    return str(outputs[name])


def _client(service: str) -> Any:
    from trainyard.clients import client

    try:
        return client(service)
    except ImportError:
        raise ApiError(0, "no_boto3", "this needs AWS's client: pip install 'trainyard[server]'") from None
