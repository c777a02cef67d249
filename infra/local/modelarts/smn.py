"""SMN with one topic: signs what it sends with a key of its own, whose certificate it serves, as SMN does."""

from __future__ import annotations

import base64
import json
import secrets
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

import urllib3

from infra.local.modelarts.jobs import TrainingJob

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SIGNED = {
    "Notification": ("message", "message_id", "subject", "timestamp", "topic_urn", "type"),
    "SubscriptionConfirmation": ("message", "message_id", "subscribe_url", "timestamp", "topic_urn", "type"),
    "UnsubscribeConfirmation": ("message", "message_id", "subscribe_url", "timestamp", "topic_urn", "type"),
}
EVENTS = {"Completed": "JobCompleted", "Failed": "JobFailed", "Terminated": "JobTerminated"}
_ANSWER_SECONDS = 15
_LARGEST_BODY = 1 << 16


class Smn:
    """`with Smn(topic) as smn: smn.subscribe(address)`. What it publishes goes to who has confirmed."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.certificate_name = f"SMN_{topic.split(':')[2]}_{secrets.token_hex(16)}.pem"
        self.key, self.certificate = new_signer()
        self.redirect: str | None = None
        """Where every GET is sent instead of being answered."""
        self.asked: list[str] = []
        """Path and query of every GET."""
        self.answers: list[int] = []
        """What the subscribers said to what was published; 0: nothing."""
        self._tokens: dict[str, str] = {}
        self._confirmed: list[str] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"smn": self}))
        self._http.daemon_threads = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def confirmed(self) -> list[str]:
        return list(self._confirmed)

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), name="smn", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def subscribe(self, address: str) -> int:
        """Ask that address whether it wants to hear; the status of its answer, 0 for none."""
        token = secrets.token_hex(32)
        self._tokens[token] = address
        query = f"token={token}&topic_urn={quote(self.topic, safe=':')}&region={self.topic.split(':')[2]}"
        url = f"{self.endpoint}/smn/subscription/confirm?{query}"
        text = f"You are invited to subscribe to topic: {self.topic}."
        return _post(address, self.message("SubscriptionConfirmation", message=text, subscribe_url=url))

    def publish(self, subject: str, text: str) -> None:
        for address in self.confirmed:
            self.answers.append(_post(address, self.message("Notification", subject=subject, message=text)))

    def tell_end(self, job: TrainingJob) -> None:
        """What ModelArts publishes of a job that was described with this topic."""
        wanted = job.body["spec"].get("notification") or {}
        if wanted.get("topic_urn") == self.topic and EVENTS.get(job.phase) in wanted["events"]:
            name = job.body["metadata"]["name"]
            self.publish("ModelArts", f"The training job {name} ({job.id}) is {job.phase}.")

    def message(self, kind: str, **fields: str) -> dict[str, Any]:
        """A signed message of that kind; `fields` are signed as they are given."""
        own = {
            "type": kind,
            "topic_urn": self.topic,
            "message_id": uuid4().hex,
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "signature_version": "v1",
            "signing_cert_url": f"{self.endpoint}/smn/{self.certificate_name}",
            **fields,
        }
        return {**own, "signature": signature(own, self.key)}

    def confirm(self, token: str) -> bool:
        address = self._tokens.pop(token, None)
        self._confirmed += [address] if address else []
        return address is not None


def signature(message: dict[str, Any], key: RSAPrivateKey) -> str:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    text = "".join(f"{name}\n{message[name]}\n" for name in SIGNED[message["type"]] if message.get(name))
    return base64.b64encode(key.sign(text.encode(), PKCS1v15(), SHA256())).decode()


def new_signer(valid_for: timedelta = timedelta(days=30), bits: int = 2048) -> tuple[RSAPrivateKey, bytes]:
    """A key and its certificate in PEM. `valid_for` may be negative: then it has ended."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    key = generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "SMN of the embedded stack")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=60))
        .not_valid_after(now + valid_for)
        .sign(key, SHA256())
    )
    return key, certificate.public_bytes(Encoding.PEM)


def _post(address: str, message: dict[str, Any]) -> int:
    headers = {
        "X-SMN-MESSAGE-TYPE": message["type"],
        "X-SMN-MESSAGE-ID": message["message_id"],
        "X-SMN-TOPIC-URN": message["topic_urn"],
        "Content-Type": "application/json",
    }
    try:
        body = json.dumps(message).encode()
        answer = urllib3.request("POST", address, body=body, headers=headers, timeout=_ANSWER_SECONDS, retries=False)
    except urllib3.exceptions.HTTPError:
        return 0
    return answer.status


class _Handler(BaseHTTPRequestHandler):
    timeout = 30
    smn: Smn

    def do_GET(self) -> None:
        self.smn.asked.append(self.path)
        parts = urlsplit(self.path)
        if self.smn.redirect is not None:
            self._send(302, b"", self.smn.redirect)
        elif parts.path == f"/smn/{self.smn.certificate_name}":
            self._send(200, self.smn.certificate)
        elif parts.path == "/smn/subscription/confirm":
            token = parse_qs(parts.query).get("token", [""])[0]
            self._send(200 if self.smn.confirm(token) else 400, b"{}")
        else:
            self._send(404, b"")

    def do_POST(self) -> None:
        """`{"endpoint"}`: ask it to subscribe. The console does so at Huawei."""
        length = min(int(self.headers.get("Content-Length") or 0), _LARGEST_BODY)
        status = self.smn.subscribe(json.loads(self.rfile.read(length))["endpoint"])
        self._send(200, json.dumps({"answered": status}).encode())

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, status: int, content: bytes, location: str = "") -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(content)))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(content)
