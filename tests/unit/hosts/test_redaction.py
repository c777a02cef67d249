"""Whatever a host makes of what it was sent, and wherever its answer is cut off: no secret of the request is in it."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.hosts.addresses import basic_authorization
from trainyard.hosts.redaction import MASK, margin, redacted, secrets_of

MOST = 10_000
WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "in an address": lambda text: quote(text, safe=""),
    "in a path": quote,
    "in a form": quote_plus,
    "in small letters": lambda text: re.sub("%..", lambda found: found[0].lower(), quote(text, safe="")),
    "every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "in JSON": lambda text: json.dumps(text)[1:-1],
    "in JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "in JSON as Unicode": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "in JSON in JSON": lambda text: "".join(rf"\u{ord(character):04x}" for character in text if ord(character) < 65536),
    "in HTML": html.escape,
    "in HTML of PHP": lambda text: html.escape(text).replace("&#x27;", "&#039;"),
    "as entities": lambda text: "".join(f"&#{ord(character)};" for character in text),
}
TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
# Nothing that an encoding of a secret could begin or end with.
AROUND = st.text("你好。, \n", max_size=30)


@pytest.mark.parametrize("way", WRITTEN)
@given(secret=st.one_of(TOKENS, TEXTS), left=AROUND, right=AROUND)
@settings(max_examples=40)
def test_a_secret_is_hidden_however_it_is_written(way: str, secret: str, left: str, right: str) -> None:
    if way == "in JSON in JSON" and any(ord(character) > 65535 for character in secret):
        return
    if way == "in capitals" and not secret.isascii():
        return
    if set(secret) & set("你好。, \n"):
        return
    assert redacted(f"{left}{WRITTEN[way](secret)}{right}", {secret}, MOST) == f"{left}{MASK}{right}"


@given(
    secret=st.text("abcxyzABCXYZ+/_-", min_size=10, max_size=60),
    left=st.binary(max_size=9),
    right=st.binary(max_size=9),
)
@settings(max_examples=200)
def test_nor_can_it_be_read_out_of_base64(secret: str, left: bytes, right: bytes) -> None:
    left, right = (bytes(48 + byte % 10 for byte in some) for some in (left, right))
    for coded in (base64.b64encode, base64.urlsafe_b64encode):
        text = coded(left + secret.encode() + right).decode()
        for written in (text, text.rstrip("="), quote(text, safe=""), json.dumps(text)):
            shown = redacted(f"你{written}好", {secret}, MOST)
            assert MASK in shown
            for piece in re.findall(r"[A-Za-z0-9+/_-]+", shown):
                for start in range(4):
                    rest = piece[start:].translate(str.maketrans("-_", "+/"))
                    read = base64.b64decode(rest[: len(rest) // 4 * 4])
                    assert not any(secret[at : at + 4].encode() in read for at in range(len(secret) - 3))


@given(secrets=st.sets(TOKENS, min_size=1, max_size=4), parts=st.lists(st.integers(0, 20), max_size=8), noise=AROUND)
@settings(max_examples=100)
def test_secrets_that_overlap_are_all_hidden(secrets: set[str], parts: list[int], noise: str) -> None:
    known = sorted(secrets)
    text = noise + "".join(known[part % len(known)][part % 3 :] for part in parts) + noise + "".join(known)
    shown = redacted(text, secrets, MOST)
    assert not any(secret.lower() in shown.lower() for secret in secrets)


@given(secret=TOKENS, cut=st.integers(0, 80), way=st.sampled_from(sorted(WRITTEN)))
@settings(max_examples=150)
def test_an_answer_that_is_too_long_ends_in_no_half_of_a_secret(secret: str, cut: int, way: str) -> None:
    """As `requests` reads it: so much more than it shows that a secret at its end is known as one."""
    written, before = WRITTEN[way](secret), "你" * 20
    text = (before + written * 3 + "好" * 2000)[: cut + margin({secret})]
    shown = redacted(text, {secret}, cut)
    assert set(shown) <= set("你好" + MASK)
    assert len(shown) <= cut + len(MASK)


def test_what_is_no_secret_is_shown() -> None:
    text = 'validation failed: "Authorization" is missing; see https://docs.example/a%20b, token expected'
    assert redacted(text, {"s3cret-token", "AKIA/x+y"}, MOST) == text


@given(token=TOKENS, other=TOKENS)
@settings(max_examples=50)
def test_every_secret_of_a_request_is_known(token: str, other: str) -> None:
    bodies = (
        json.dumps({"url": "https://t.example", "config": {"secret": other}, "events": ["push"]}).encode(),
        json.dumps([{"signing_token": other}, {"password": ""}]).encode(),
        urlencode({"grant_type": "authorization_code", "client_secret": other}).encode(),
    )
    for headers in (
        {"Authorization": f"Bearer {token}"}, {"PRIVATE-TOKEN": token}, {"authorization": f"token {token}"},
        basic_authorization(token, "oauth2"),
    ):  # fmt: skip
        for body in bodies:
            found = secrets_of({**headers, "Accept": "application/json"}, body)
            assert {token.partition(":")[2] if ":" in token and "Basic" in str(headers) else token, other} <= found | {
                ""
            }
            assert found.isdisjoint({"", "application/json", "https://t.example", "push"})
    assert secrets_of({}, b"", f"Token={quote(other)}&a=b") == {other}


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 100_000, b"null", b'"x"', b"&=&;%", b'{"token": 5}'])
def test_a_body_of_another_kind_holds_none(body: bytes) -> None:
    assert secrets_of({}, body) == set()


def test_no_token_and_no_answer_keeps_it_from_its_end() -> None:
    """Backslashes that may or may not be escaped: an expression would try every way to tell which."""
    for secret, text in (("\\" * 999 + "x", "\\" * 15_000), ("%25" * 330, "%2525" * 4000), ("a" * 1000, "a" * 20_000)):
        shown = redacted(text, {secret, f"Bearer {secret}", f"user:{secret}"}, 2048)
        assert shown == (text[:2048] if secret.endswith("x") else MASK)
