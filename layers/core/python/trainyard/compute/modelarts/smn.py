"""SMN's messages, by which ModelArts says that a job has ended, and what proves that it was SMN who sent one.

https://support.huaweicloud.com/intl/en-us/usermanual-smn/smn_ug_a9002.html and smn_ug_a9003.html. Pure: what has to be
fetched is fetched by whoever asks, from the addresses that are allowed here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qs

from pydantic import BaseModel, ConfigDict, Field

from trainyard.model.errors import InvalidInput, Unauthenticated
from trainyard.model.text import Text

# SMN tries again for a while; what is older nobody waits for any more, since runs are looked at every minute.
OLDEST, MOST_AHEAD = timedelta(minutes=15), timedelta(minutes=5)
_LEAST_KEY_BITS = 2048
_URN = re.compile(r"urn:smn:([a-z0-9-]+):[A-Za-z0-9-]+:[A-Za-z0-9_-]+")
_CONFIRM = "/smn/subscription/confirm"
_QUERY = re.compile(r"[A-Za-z0-9_.:=&%-]{1,2000}")


class Message(BaseModel):
    """One message as SMN posts it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]
    message_id: str = Field(pattern=r"^[A-Za-z0-9-]{1,64}$")
    topic_urn: str
    message: str
    subject: str | None = None
    timestamp: str
    """When it was sent for the first time, in ISO 8601. As it was spelled, because that is what is signed."""
    subscribe_url: str = ""
    signing_cert_url: str
    signature: str
    signature_version: Literal["v1"]

    @property
    def signed_text(self) -> bytes:
        """What the signature is over: each field's name and value, each in a line of its own."""
        extra = (
            {"subject": self.subject or ""} if self.type == "Notification" else {"subscribe_url": self.subscribe_url}
        )
        fields = {
            "message": self.message,
            "message_id": self.message_id,
            **{name: value for name, value in extra.items() if value},
            "timestamp": self.timestamp,
            "topic_urn": self.topic_urn,
            "type": self.type,
        }
        return "".join(f"{name}\n{value}\n" for name, value in fields.items()).encode()


@dataclass(frozen=True)
class Topic:
    """The one topic that is listened to. `endpoint`: where SMN is, if not at Huawei's own address.

    ValueError for what is no URN of a topic.
    """

    urn: str
    endpoint: str = ""

    @property
    def region(self) -> str:
        found = _URN.fullmatch(self.urn)
        if found is None:
            raise ValueError(f"{self.urn!r} is no URN of an SMN topic")
        return found[1]

    @property
    def root(self) -> str:
        return self.endpoint or f"https://smn.{self.region}.myhuaweicloud.com"

    def certificate_address(self, message: Message) -> str:
        """Where to fetch the certificate. Unauthenticated where that is not SMN's own place in the topic's region."""
        allowed = rf"{re.escape(self.root)}/smn/SMN_{re.escape(self.region)}_[0-9a-f]{{32}}\.pem"
        if re.fullmatch(allowed, message.signing_cert_url) is None:
            raise refused()
        return message.signing_cert_url

    def confirmation_address(self, message: Message) -> tuple[str, str]:
        """Address and query that confirm a subscription. Unauthenticated where they lead anywhere else."""
        address, _, query = message.subscribe_url.partition("?")
        roots = [self.endpoint] if self.endpoint else [self.root, *(f"https://{host}" for host in self._consoles)]
        named = parse_qs(query).get("topic_urn", [])
        if address not in [root + _CONFIRM for root in roots] or not _QUERY.fullmatch(query) or named != [self.urn]:
            raise refused()
        return address, query

    @property
    def _consoles(self) -> tuple[str, ...]:
        return "console.huaweicloud.com", "console-intl.huaweicloud.com", f"{self.region}-console.huaweicloud.com"


def read(body: bytes, topic: Topic, now: datetime) -> Message:
    """The message, if it is for that topic and of these minutes; who sent it is not known yet.

    Raises:
        InvalidInput: it is no message of SMN.
        Unauthenticated: another topic, or too old.
    """
    try:
        message = Message.model_validate_json(body)
        sent = datetime.fromisoformat(message.timestamp)
    except ValueError:  # pydantic's own is one, too
        raise InvalidInput(Text(en="This is no message of SMN.", zh="这不是 SMN 消息。")) from None
    if not hmac.compare_digest(message.topic_urn.encode(), topic.urn.encode()):
        raise refused()
    if not -MOST_AHEAD <= now - (sent if sent.tzinfo else sent.replace(tzinfo=UTC)) <= OLDEST:
        raise refused()
    return message


def verify(message: Message, certificate: bytes, pinned: Collection[str], now: datetime) -> None:
    """Unauthenticated unless the key of that certificate (PEM) signed it.

    `pinned`: SHA-256 of the certificates that are trusted, in hexadecimal; empty: whichever SMN's own place serves.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        # The first is the signer's own; those that may follow are its issuers.
        signer = x509.load_pem_x509_certificates(certificate)[0]
        signature = base64.b64decode(message.signature, validate=True)
    except (ValueError, binascii.Error):
        raise refused() from None
    key = signer.public_key()
    is_good = (
        isinstance(key, RSAPublicKey)
        and key.key_size >= _LEAST_KEY_BITS
        and signer.not_valid_before_utc <= now <= signer.not_valid_after_utc
        and (not pinned or hashlib.sha256(signer.public_bytes(Encoding.DER)).hexdigest() in pinned)
    )
    if not is_good:
        raise refused()
    assert isinstance(key, RSAPublicKey)
    try:
        key.verify(signature, message.signed_text, PKCS1v15(), SHA256())
    except InvalidSignature:
        raise refused() from None


def refused() -> Unauthenticated:
    """One answer to everything that is not proven: which part of it failed is nobody's business."""
    return Unauthenticated(
        Text(
            en="This is no message that SMN signed for the topic of this installation just now.",
            zh="该消息不是 SMN 针对本系统所配置主题刚刚签名的消息。",
        )
    )
