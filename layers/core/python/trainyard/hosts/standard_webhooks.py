"""Signatures of Standard Webhooks: GitLab's on what it sends to us, and ours on what we send to others.

Source: https://github.com/standard-webhooks/standard-webhooks
"""

from __future__ import annotations

import base64
import secrets

from trainyard.hosts.deliveries import hmac_sha256

SIGNING_KEY = "whsec_"
"""How the standard marks a key."""
_KEY_BYTES = 32


def new_signing_key() -> str:
    """A key of 256 random bits, as the standard writes it."""
    return SIGNING_KEY + base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key in `whsec_` and base 64. binascii.Error if it is not in base 64."""
    return base64.b64decode(secret.removeprefix(SIGNING_KEY), validate=True)


def signature(key: bytes, message_id: bytes, timestamp: bytes, body: bytes) -> str:
    """The header `webhook-signature`. `timestamp`: Unix time in digits."""
    return "v1," + base64.b64encode(hmac_sha256(key, b".".join((message_id, timestamp, body)))).decode()
