"""SMN says that a job at ModelArts has ended: a reason to look now and not in a minute, and nothing else.

No state follows from what a message says. Who could forge one could make us look, which we do anyway.
"""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Literal

from aws_lambda_powertools import Logger

from trainyard.compute.modelarts import smn
from trainyard.hosts.contract import HostRefusedError
from trainyard.hosts.requests import send
from trainyard.model.errors import InvalidInput, NotFound
from trainyard.model.ids import run_ids_in
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.store import State

logger = Logger()
MAX_MESSAGE_BYTES = 600_000
"""SMN takes messages of 256 KB, which JSON may write at twice the length."""
_CERTIFICATE_BYTES = 64 << 10
_ANSWER_BYTES = 64 << 10
_CERTIFICATE_KEPT_SECONDS = 3600.0
_MOST_CERTIFICATES = 4
# More runs than these end in one message of no job of ours.
_MOST_RUNS = 20
_certificates: dict[str, tuple[float, bytes]] = {}

Heard = Literal["woken", "confirmed", "repeated", "ignored"]


def hear(state: State, body: bytes, now: datetime) -> Heard:
    """Take one message of SMN; the same again does nothing.

    Raises:
        NotFound: no topic is listened to here.
        InvalidInput, Unauthenticated: it is not proven to be SMN's, see `compute/modelarts/smn.py`.
        HostUnavailableError: SMN itself could not be reached; it will send the message again.
    """
    known = settings()
    if not known.smn_topic:
        raise NotFound(Text(en="No SMN topic is listened to here.", zh="此处未配置 SMN 主题。"))
    topic = smn.Topic(known.smn_topic, known.smn_endpoint)
    message = smn.read(body, topic, now)
    smn.verify(message, _certificate(topic.certificate_address(message)), known.smn_certificates, now)
    mark = f"smn#{message.message_id}"
    if state.table.is_marked(mark):
        return "repeated"
    heard = _act(topic, message)
    # Afterwards: what failed is not forgotten, and to look twice does no harm.
    state.table.mark(mark, int((now + 2 * smn.OLDEST).timestamp()))
    return heard


def _act(topic: smn.Topic, message: smn.Message) -> Heard:
    if message.type == "SubscriptionConfirmation":
        address, query = topic.confirmation_address(message)
        _get(address, query, _ANSWER_BYTES)
        logger.info("the subscription to the SMN topic is confirmed")
        return "confirmed"
    if message.type == "UnsubscribeConfirmation":
        logger.warning("the subscription to the SMN topic was taken back; runs are looked at every minute")
        return "ignored"
    _wake(run_ids_in(f"{message.subject or ''}\n{message.message}")[:_MOST_RUNS])
    return "woken"


def _wake(runs: list[str]) -> None:
    """Have these runs looked at, all of them if none is named, by the function that does so every minute."""
    from trainyard.clients import client

    # The answer is not waited for.
    payload = json.dumps({"watch": True, "runs": runs}).encode()
    client("lambda").invoke(FunctionName=settings().sweep_function, InvocationType="Event", Payload=payload)


def _certificate(address: str) -> bytes:
    """Fetched over TLS from SMN's own host, at most once an hour. Unauthenticated where it has no such certificate."""
    known = _certificates.get(address)
    if known is not None and time.monotonic() - known[0] < _CERTIFICATE_KEPT_SECONDS:
        return known[1]
    fetched = _get(address, "", _CERTIFICATE_BYTES)
    while len(_certificates) >= _MOST_CERTIFICATES:
        _certificates.pop(next(iter(_certificates)))
    _certificates[address] = time.monotonic(), fetched
    return fetched


def _get(address: str, query: str, largest: int) -> bytes:
    """One try, to a checked address, without redirects. SMN itself sends its message again."""
    try:
        return send(address, b"", {}, method="GET", largest=largest, query=query, tries=1).body
    except (HostRefusedError, InvalidInput) as error:
        logger.warning("SMN's address was not to be had", extra={"address": address, "reason": str(error)})
        raise smn.refused() from error
