"""Signing what runs came to.

The key is an ECDSA key on P-256 in an SSM SecureString, made on first use; or, where the operator names one, a key in
KMS that never leaves it. Both give the same kind of signature.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from trainyard.model.bundle import ALGORITHM, Signature
from trainyard.store import layout
from trainyard.store.objects import Objects
from trainyard.store.secrets import Secrets

_NAME = "signing/bundle"


def sign(secrets: Secrets, objects: Objects, data: bytes, kms_key: str = "") -> Signature:
    """The signature of `data`. Publishes the public key if that was not done yet."""
    digest = hashlib.sha256(data).digest()
    public, value = _by_kms(kms_key, digest) if kms_key else _by_own_key(secrets, digest)
    key_id = hashlib.sha256(public).hexdigest()
    objects.put(layout.public_key_key(key_id), _as_pem(public), "application/x-pem-file", if_absent=True)
    return Signature(algorithm=ALGORITHM, key=key_id, value=base64.b64encode(value).decode())


def is_signed(data: bytes, signature: Signature, public_pem: bytes) -> bool:
    """Whether `data` was signed with the private half of that key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_public_key(public_pem)
        value = base64.b64decode(signature.value, validate=True)
        if not isinstance(key, ec.EllipticCurvePublicKey) or signature.algorithm != ALGORITHM:
            return False
        if hashlib.sha256(_der(key)).hexdigest() != signature.key:
            return False
        key.verify(value, data, ec.ECDSA(hashes.SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return True


def _by_own_key(secrets: Secrets, digest: bytes) -> tuple[bytes, bytes]:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    pem = secrets.get(_NAME)
    if pem is None:
        made = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        # Another function may make one at the same moment: the first that was stored counts.
        secrets.put_if_absent(_NAME, made.decode())
        pem = secrets.get(_NAME)
        assert pem is not None
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return _der(key.public_key()), key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


def _by_kms(key: str, digest: bytes) -> tuple[bytes, bytes]:
    from trainyard.clients import client

    kms = client("kms")
    public = kms.get_public_key(KeyId=key)["PublicKey"]
    answer = kms.sign(KeyId=key, Message=digest, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256")
    return public, answer["Signature"]


def _der(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    der: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return der


def _as_pem(der: bytes) -> bytes:
    body = base64.encodebytes(der).replace(b"\n", b"")
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return b"\n".join([b"-----BEGIN PUBLIC KEY-----", *lines, b"-----END PUBLIC KEY-----", b""])
