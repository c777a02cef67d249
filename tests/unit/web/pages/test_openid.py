"""Signing in at a provider of OpenID Connect: the way that leads in, and every way that must not."""

from __future__ import annotations

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from openid_provider import CLIENT, SECRET, OpenIdProvider, openid_provider, rsa_key
from unit.web.pages.conftest import Browser, Shown

from trainyard.identity import provider as providers
from trainyard.identity.sign_in import CLIENT_SECRET
from trainyard.model.repository import Repository, Scope
from trainyard.model.settings import Settings
from trainyard.store import State
from trainyard.store.access import issue_token

CALLBACK = "https://api.example/sign-in/openid/callback"
BOB = {"preferred_username": "Bob", "email": "bob@example.org", "email_verified": True, "groups": ["staff"]}


@dataclass
class Here:
    """This installation, with a provider."""

    state: State
    provider: OpenIdProvider
    known: Settings
    browsers: list[Browser] = field(default_factory=list)

    def browser(self, **more: Any) -> Browser:
        return Browser(**more)

    def sent_to(self, browser: Browser, to: str = "/account") -> str:
        """The address of the provider that the button leads to."""
        shown = browser.get(f"/sign-in/openid?{urlencode({'to': to})}")
        assert shown.status == 303, shown.words()
        return shown.headers["location"]

    def sign_in(self, browser: Browser, subject: str = "bob", to: str = "/account") -> Shown:
        return self.come_back(browser, self.provider.consent(self.sent_to(browser, to), subject))

    def come_back(self, browser: Browser, address: str) -> Shown:
        assert address.startswith(CALLBACK)
        return browser.get(address.removeprefix("https://api.example"))

    def change(self, **changes: Any) -> None:
        for name, value in changes.items():
            self.known.__dict__[name] = value


@pytest.fixture
def here(pages: State, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    with openid_provider() as provider:
        provider.people = {"bob": dict(BOB)}
        provider.redirects = [CALLBACK]
        known = Settings(
            oidc_issuer=provider.issuer,
            oidc_client_id=CLIENT,
            oidc_email_domains=["example.org"],
            allow_loopback_http=True,
        )
        for room in ("hosts.addresses", "web.pages.openid", "web.pages.sign_in"):
            monkeypatch.setattr(f"trainyard.{room}.settings", lambda: known)
        monkeypatch.setattr("trainyard.hosts.requests.time.sleep", lambda _: None)
        pages.secrets.put(CLIENT_SECRET, SECRET)
        providers.provider.cache_clear()
        yield Here(pages, provider, known)
        providers.provider.cache_clear()


def is_refused(shown: Shown, browser: Browser, status: int) -> None:
    assert shown.status == status, shown.words()
    assert 'role="alert"' in shown.text
    assert not browser.signed_in


# The way in


@pytest.mark.parametrize(("language", "words"), [("en", "Sign in with 127.0.0.1"), ("zh", "使用 127.0.0.1")])
def test_the_button_stands_on_the_page_where_a_provider_is_named(here: Here, language: str, words: str) -> None:
    shown = here.browser(language=language).get("/sign-in?to=/guide")
    assert words in shown.words()
    assert 'href="/sign-in/openid?to=/guide"' in shown.text


def test_without_a_provider_there_is_none(pages: State) -> None:
    browser = Browser()
    assert "/sign-in/openid" not in browser.get("/sign-in").text
    for path in ("/sign-in/openid", "/sign-in/openid/callback?code=x&state=y"):
        assert browser.get(path).status == 404


def test_somebody_signs_in_comes_back_and_signs_out(here: Here) -> None:
    browser = here.browser()
    shown = here.sign_in(browser, to="/account")
    assert (shown.status, shown.headers["location"]) == (303, "/account")
    assert any("attempt=;" in cookie for cookie in shown.cookies), "what was under way is over"
    session = next(cookie for cookie in shown.cookies if "session=" in cookie)
    assert session.startswith("__Host-session=")
    assert "HttpOnly; SameSite=Lax; Secure" in session
    assert "bob" in browser.get("/account").words()
    assert len(here.state.table.tokens_of("bob")) == 1

    assert browser.post("/sign-out", {}).status == 303
    assert browser.get("/account").status == 303
    assert here.state.table.tokens_of("bob") == [], "nothing stays behind"


def test_the_same_person_is_the_same_user_whatever_the_claims_say_by_then(here: Here) -> None:
    here.sign_in(here.browser())
    here.provider.people["bob"]["preferred_username"] = "robert"
    browser = here.browser()
    here.sign_in(browser)
    assert "bob" in browser.get("/account").words()
    assert here.state.table.user("robert") is None


def test_who_signed_in_so_makes_tokens_that_outlast_the_session(here: Here) -> None:
    browser = here.browser()
    here.sign_in(browser)
    made = browser.post("/account/tokens", {"name": "git", "scope": "write", "days": ""})
    assert made.status == 201
    (token,) = [one for one in here.state.table.tokens_of("bob") if not one.for_session]
    assert token.expires_at
    assert (token.expires_at - token.created_at).days >= 364
    own = next(one for one in here.state.table.tokens_of("bob") if one.for_session)
    browser.post(f"/account/tokens/{own.id}/revoke", {})
    assert browser.get("/account").status == 303, "taking it back ends the session"


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256"])
def test_signatures_with_public_keys_are_taken(here: Here, algorithm: str) -> None:
    here.provider.algorithm = algorithm
    if algorithm == "ES256":
        here.provider.key = ECKey.generate_key("P-256", {"kid": "curve"})
    browser = here.browser()
    assert here.sign_in(browser).status == 303


@pytest.mark.parametrize("way", ["public client", "secret in the form"])
def test_other_ways_in_which_a_client_says_who_it_is(here: Here, way: str) -> None:
    if way == "public client":
        here.state.secrets.delete(CLIENT_SECRET)
        here.provider.secret = None
    else:
        here.provider.document["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert here.sign_in(here.browser()).status == 303


def test_keys_that_were_changed_are_fetched_once_more(here: Here) -> None:
    assert here.sign_in(here.browser()).status == 303
    assert here.sign_in(here.browser()).status == 303
    assert here.provider.asked.count("/keys") == 1, "kept"
    here.provider.key = rsa_key("second")
    assert here.sign_in(here.browser()).status == 303
    assert here.provider.asked.count("/keys") == 2
    assert here.provider.asked.count("/.well-known/openid-configuration") == 1


# What a provider's answer must not be


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {key: value for key, value in claims.items() if key != name}


def saying(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda claims: {**claims, **changes}


LONG_AGO = int(time.time()) - 3600
WRONG_CLAIMS = {
    "another nonce": saying(nonce="n" * 43),
    "a nonce among others": lambda claims: {**claims, "nonce": [claims["nonce"]]},
    "no nonce": without("nonce"),
    "another audience": saying(aud="another"),
    "an audience of several, made for another": saying(aud=[CLIENT, "another"], azp="another"),
    "an audience of several, made for nobody": saying(aud=[CLIENT, "another"]),
    "no audience": without("aud"),
    "another issuer": saying(iss="https://accounts.example"),
    "no issuer": without("iss"),
    "expired": saying(exp=LONG_AGO),
    "never expires": without("exp"),
    "expires no time": saying(exp="tomorrow"),
    "from the future": saying(iat=int(time.time()) + 3600),
    "issued never": without("iat"),
    "not yet": saying(nbf=int(time.time()) + 3600),
    "nobody": without("sub"),
    "a subject without end": saying(sub="s" * 300),
    "a subject that is no text": saying(sub=7),
    "another access token": saying(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "an access token that is no text": saying(at_hash=None),
}


@pytest.mark.parametrize("wrong", WRONG_CLAIMS)
def test_a_token_that_says_something_wrong(here: Here, wrong: str) -> None:
    here.provider.claims_of = WRONG_CLAIMS[wrong]
    browser = here.browser()
    is_refused(here.sign_in(browser), browser, 503)
    assert here.state.table.user("bob") is None


def unsigned(claims: dict[str, Any], _: OpenIdProvider) -> str:
    return f"{coded({'alg': 'none', 'typ': 'JWT'})}.{coded(claims)}."


def unsigned_in_capitals(claims: dict[str, Any], _: OpenIdProvider) -> str:
    return f"{coded({'alg': 'nOnE'})}.{coded(claims)}."


def with_the_public_key_as_a_secret(claims: dict[str, Any], provider: OpenIdProvider) -> str:
    """HS256 under what everybody can read."""
    body = f"{coded({'alg': 'HS256', 'kid': provider.key.kid})}.{coded(claims)}"
    signature = hmac.digest(provider.key.as_pem(private=False), body.encode(), "sha256")
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def with_the_clients_secret(claims: dict[str, Any], provider: OpenIdProvider) -> str:
    body = f"{coded({'alg': 'HS256'})}.{coded(claims)}"
    signature = hmac.digest(SECRET.encode(), body.encode(), "sha256")
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def with_an_unknown_key(claims: dict[str, Any], _: OpenIdProvider) -> str:
    return jwt.encode({"alg": "RS256", "kid": "stranger"}, claims, rsa_key("stranger"))


def with_another_key_under_the_known_name(claims: dict[str, Any], provider: OpenIdProvider) -> str:
    return jwt.encode({"alg": "RS256", "kid": provider.key.kid}, claims, rsa_key("stranger"))


def with_a_key_of_its_own_in_the_header(claims: dict[str, Any], _: OpenIdProvider) -> str:
    key = rsa_key("stranger")
    return jwt.encode({"alg": "RS256", "jwk": key.as_dict(private=False)}, claims, key)


def changed_afterwards(claims: dict[str, Any], provider: OpenIdProvider) -> str:
    header, _, signature = provider.signed(claims).split(".")
    return f"{header}.{coded({**claims, 'sub': 'somebody else'})}.{signature}"


def no_token(_claims: dict[str, Any], _: OpenIdProvider) -> str:
    return "a.b.c"


def coded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "sign",
    [
        unsigned, unsigned_in_capitals, with_the_public_key_as_a_secret, with_the_clients_secret, with_an_unknown_key,
        with_another_key_under_the_known_name, with_a_key_of_its_own_in_the_header, changed_afterwards, no_token,
    ],
    ids=lambda sign: sign.__name__,
)  # fmt: skip
def test_a_token_that_the_provider_did_not_sign(here: Here, sign: Callable[..., str]) -> None:
    here.provider.sign = sign
    browser = here.browser()
    is_refused(here.sign_in(browser), browser, 503)
    assert here.provider.asked.count("/keys") <= 2, "an unknown key is looked for once"


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://accounts.example"},
        {"token_endpoint": "http://169.254.169.254/latest/meta-data"},
        {"token_endpoint": "https://10.0.0.1/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user:word@accounts.example/"},
    ],
    ids=str,
)
def test_a_provider_that_leads_astray(here: Here, document: dict[str, Any]) -> None:
    here.provider.document = document
    browser = here.browser()
    is_refused(browser.get("/sign-in/openid"), browser, 503)


def test_a_provider_that_is_away_leaves_the_other_way_in(here: Here) -> None:
    here.provider.away = True
    browser = here.browser()
    shown = browser.get("/sign-in/openid?to=/guide")
    is_refused(shown, browser, 503)
    secret, _ = issue_token(here.state.table, "ada", [Scope.READ])
    assert browser.sign_in(secret).status == 303
    here.provider.away = False
    assert here.sign_in(here.browser()).status == 303, "a failure is not kept"


# What another site, or somebody in between, must not do


def test_what_another_browser_began(here: Here) -> None:
    """Login CSRF: the victim is sent the attacker's own answer, and would work in the attacker's account."""
    attacker, victim = here.browser(), here.browser()
    address = here.provider.consent(here.sent_to(attacker), "bob")
    is_refused(here.come_back(victim, address), victim, 401)
    here.sent_to(victim)
    is_refused(here.come_back(victim, address), victim, 401)
    assert here.provider.codes, "the code was not even redeemed"


def test_an_answer_with_another_state(here: Here) -> None:
    browser = here.browser()
    address = here.provider.consent(here.sent_to(browser), "bob")
    asked = dict(parse_qsl(urlsplit(address).query))
    for state in ("", "x" * 43, asked["state"] + "x", "\ud800".encode(errors="replace").decode()):
        other = Browser(cookies=dict(browser.cookies))
        is_refused(here.come_back(other, f"{CALLBACK}?{urlencode({**asked, 'state': state})}"), other, 401)


def test_an_answer_that_comes_twice(here: Here) -> None:
    browser = here.browser()
    address = here.provider.consent(here.sent_to(browser), "bob")
    kept = Browser(cookies=dict(browser.cookies))
    assert here.come_back(browser, address).status == 303
    is_refused(here.come_back(kept, address), kept, 401)
    assert here.provider.asked.count("/token") == 1, "it is refused here, whatever the provider would say"


def test_a_code_that_was_redeemed_already(here: Here) -> None:
    browser, other = here.browser(), here.browser()
    first = dict(parse_qsl(urlsplit(here.provider.consent(here.sent_to(browser), "bob")).query))
    second = dict(parse_qsl(urlsplit(here.provider.consent(here.sent_to(other), "bob")).query))
    assert here.come_back(browser, f"{CALLBACK}?{urlencode(first)}").status == 303
    is_refused(here.come_back(other, f"{CALLBACK}?{urlencode({**second, 'code': first['code']})}"), other, 401)


def test_a_code_that_was_stolen_from_another_browser(here: Here) -> None:
    """PKCE: it is redeemed only with the secret of the browser for which it was given."""
    victim, thief = here.browser(), here.browser()
    stolen = dict(parse_qsl(urlsplit(here.provider.consent(here.sent_to(victim), "bob")).query))["code"]
    own = parse_qs(urlsplit(here.sent_to(thief)).query)["state"][0]
    is_refused(here.come_back(thief, f"{CALLBACK}?{urlencode({'code': stolen, 'state': own})}"), thief, 401)


def test_an_answer_of_another_issuer(here: Here) -> None:
    browser = here.browser()
    asked = dict(parse_qsl(urlsplit(here.provider.consent(here.sent_to(browser), "bob")).query))
    address = f"{CALLBACK}?{urlencode({**asked, 'iss': 'https://accounts.example'})}"
    is_refused(here.come_back(browser, address), browser, 503)


def test_a_cookie_that_we_did_not_seal(here: Here) -> None:
    browser = here.browser()
    address = here.provider.consent(here.sent_to(browser), "bob")
    text, _, seal = browser.cookies["__Host-attempt"].rpartition(".")
    begun = json.loads(base64.urlsafe_b64decode(text))
    forged = base64.urlsafe_b64encode(json.dumps({**begun, "to": "/sign-out"}).encode()).decode()
    for cookie in (f"{forged}.{seal}", text, "x", ".", "你好", "a" * 5000, "\ud800"):
        other = Browser(cookies={**browser.cookies, "__Host-attempt": cookie})
        is_refused(here.come_back(other, address), other, 401)


def test_a_sign_in_that_took_too_long(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = here.browser()
    address = here.provider.consent(here.sent_to(browser), "bob")
    later = time.time() + 601
    monkeypatch.setattr("trainyard.identity.attempt.time.time", lambda: later)
    is_refused(here.come_back(browser, address), browser, 401)


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nx: y", ""]
)
def test_nobody_is_led_to_another_site(here: Here, to: str) -> None:
    browser = here.browser()
    assert here.sign_in(browser, to=to).headers["location"] == "/"


def test_a_provider_that_says_no(here: Here) -> None:
    browser = here.browser()
    state = parse_qs(urlsplit(here.sent_to(browser)).query)["state"][0]
    answer = {"state": state, "error": "access_denied", "error_description": "<script>"}
    shown = here.come_back(browser, f"{CALLBACK}?{urlencode(answer)}")
    is_refused(shown, browser, 403)
    assert "access_denied" in shown.words()
    assert "<script>" not in shown.text


def test_the_address_that_we_send_to_holds_no_secret(here: Here) -> None:
    browser = here.browser()
    asked = parse_qs(urlsplit(here.sent_to(browser)).query)
    begun = json.loads(base64.urlsafe_b64decode(browser.cookies["__Host-attempt"].rpartition(".")[0]))
    assert begun["verifier"] not in str(asked)
    assert asked["tenant"] == ["one"], "the provider's own query stays"
    assert asked["redirect_uri"] == [CALLBACK]


# Who may


@pytest.mark.parametrize(
    ("changes", "claims", "is_in"),
    [
        ({}, {}, True),
        ({}, {"email": "bob@EXAMPLE.org"}, True),
        ({}, {"email_verified": "true"}, True),
        ({}, {"email_verified": False}, False),
        ({}, {"email_verified": None}, False),
        ({}, {"email": "bob@example.org.evil.example"}, False),
        ({}, {"email": "bob@evil.example"}, False),
        ({}, {"email": '"bob@example.org"@evil.example'}, False),
        ({}, {"email": None}, False),
        ({"oidc_email_domains": []}, {}, False),
        ({"oidc_email_domains": ["*"]}, {"email": None}, True),
        ({"oidc_email_domains": [], "oidc_groups": ["staff", "guests"]}, {}, True),
        ({"oidc_email_domains": [], "oidc_groups": ["staff"]}, {"groups": "staff"}, True),
        ({"oidc_email_domains": [], "oidc_groups": ["staff"]}, {"groups": ["st", "staffing"]}, False),
        ({"oidc_email_domains": [], "oidc_groups": ["staff"]}, {"groups": None}, False),
        ({"oidc_email_domains": [], "oidc_groups": ["staff"]}, {"groups": 7}, False),
        ({"oidc_email_domains": [], "oidc_groups": ["staff"]}, {"groups": [["staff"]]}, False),
        ({"oidc_groups": ["bosses"]}, {}, False),
        ({"oidc_groups": ["bosses"], "oidc_group_claim": "roles"}, {"roles": ["bosses"]}, True),
    ],
)
def test_who_is_admitted(here: Here, changes: dict[str, Any], claims: dict[str, Any], is_in: bool) -> None:
    here.change(**changes)
    here.provider.people["bob"] |= claims
    browser = here.browser()
    shown = here.sign_in(browser)
    assert browser.signed_in is is_in
    assert shown.status == (303 if is_in else 403)
    assert (here.state.table.user("bob") is not None) is is_in, "who is not admitted gets no name either"


def test_nobody_gets_the_name_of_a_user_with_a_token(here: Here, project: Repository) -> None:
    """Neither of one who has it now, nor of one whose token is gone, nor of one who owns a repository."""
    _, token = issue_token(here.state.table, "bob", [Scope.WRITE])
    here.state.table.delete_token(token.digest)
    browser = here.browser()
    here.sign_in(browser)
    assert "bob-2" in browser.get("/account").words()
    here.provider.people["eve"] = {**BOB, "preferred_username": "ADA"}
    eve = here.browser()
    here.sign_in(eve, "eve")
    assert "ada-2" in eve.get("/account").words()
    assert eve.get(f"/projects/{project.full_name}").status == 404
