"""The state behind a running embedded stack, for its own programs and tests; people use the API."""

from __future__ import annotations

from infra.local.emulator.client import client
from infra.local.stack import Addresses
from trainyard.model.repository import Scope
from trainyard.store import State
from trainyard.store.access import issue_token
from trainyard.store.bus import Bus
from trainyard.store.objects import Objects
from trainyard.store.secrets import Secrets
from trainyard.store.table import Table


def state_of(addresses: Addresses) -> State:
    """The table, bucket, secrets and bus of that stack."""
    outputs, endpoint = addresses.outputs, addresses.endpoint
    return State(
        Table(outputs["TableName"], client(endpoint, "dynamodb")),
        Objects(outputs["BucketName"], client(endpoint, "s3")),
        Secrets(outputs["SecretsPrefix"], client(endpoint, "ssm")),
        Bus(outputs["BusName"], client(endpoint, "events")),
    )


def new_token(addresses: Addresses, user: str, *scopes: Scope) -> str:
    """A fresh access token of `user`, to read and write if nothing else is said."""
    secret, _ = issue_token(
        state_of(addresses).table, user, list(scopes) or [Scope.READ, Scope.WRITE], "embedded stack"
    )
    return secret


def dead_letters(addresses: Addresses) -> dict[str, int]:
    """Messages in each dead-letter queue, by the queue's name."""
    sqs = client(addresses.endpoint, "sqs")
    counts = {}
    for url in sqs.list_queues().get("QueueUrls", []):
        name = url.rsplit("/", 1)[1]
        if "dead" in name.lower() or "dlq" in name.lower():
            attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
            counts[name] = int(attributes["Attributes"]["ApproximateNumberOfMessages"])
    return counts
