"""Keys of Huawei Cloud: one that the operator stored, or a temporary one for which nothing is stored.

Either way one SSM parameter says who we are there, as JSON: `{"ak", "sk", "project_id", "region"}`, or, without a
secret, `{"provider_urn", "agency_urn", "project_id", "region"}`: AWS vouches for this function with a signed token, and
Huawei's agency trusts AWS as an identity provider. Both sides document that second way; together it was never run.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from trainyard.model.errors import InvalidInput
from trainyard.model.text import Text

_RENEW_BEFORE = timedelta(minutes=10)
_AGENCY_SECONDS = 3600
_AUDIENCE = "sts.myhuaweicloud.com"
_SECONDS_KEPT = 300.0


class Account(BaseModel):
    """Who we are at Huawei Cloud: the stored parameter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ak: str = ""
    sk: str = Field("", repr=False)
    provider_urn: str = ""
    agency_urn: str = ""
    project_id: str
    region: str

    @model_validator(mode="after")
    def _one_way(self) -> Account:
        if bool(self.ak and self.sk) == bool(self.provider_urn and self.agency_urn):
            raise ValueError("either ak and sk, or provider_urn and agency_urn")
        return self


class Key(BaseModel):
    """What requests are signed with."""

    model_config = ConfigDict(frozen=True)

    access_key: str
    secret_key: str = Field(repr=False)
    security_token: str = Field("", repr=False)
    expires_at: datetime | None = None


class Credentials:
    """The account and a key of it that is good now. RuntimeError where the parameter is missing or wrong."""

    def __init__(self, read: Callable[[], str], now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """`read`: gives the parameter's text."""
        self._read, self._now = read, now
        self._account: tuple[float, Account] | None = None
        self._key: Key | None = None

    @property
    def account(self) -> Account:
        """Read again every few minutes, so that a new key is taken up without a deployment."""
        if self._account is None or time.monotonic() - self._account[0] > _SECONDS_KEPT:
            self._account = time.monotonic(), _parsed(self._read())
        return self._account[1]

    def key(self) -> Key:
        account = self.account
        if account.ak:
            return Key(access_key=account.ak, secret_key=account.sk)
        if self._key is None or self._is_nearly_over(self._key):
            self._key = assume_agency(account, web_identity_token())
        return self._key

    def forget(self) -> None:
        """The key was refused: the next one is read or asked for anew."""
        self._account = self._key = None

    def _is_nearly_over(self, key: Key) -> bool:
        return key.expires_at is not None and self._now() > key.expires_at - _RENEW_BEFORE


def stored_parameter(name: str) -> Callable[[], str]:
    """Reads the SSM parameter of that name."""

    def read() -> str:
        from trainyard.clients import ssm

        try:
            return str(ssm().get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"])
        except ssm().exceptions.ParameterNotFound:
            raise RuntimeError(f"the SSM parameter {name} with the keys of Huawei Cloud is missing") from None

    return read


def operators_key(environment: Mapping[str, str], *others: str) -> Credentials:
    """An operator's own key, from HUAWEI_AK and its like. InvalidInput where one of them or of `others` is not set."""
    names = {f"HUAWEI_{name.upper()}": name for name in ("ak", "sk", "project_id", "region")}
    missing = ", ".join(name for name in (*names, *others) if not environment.get(name))
    if missing:
        raise InvalidInput(Text(en=f"Set {missing} in the environment.", zh=f"请设置环境变量 {missing}。"))
    account = json.dumps({name: environment[variable] for variable, name in names.items()})
    return Credentials(lambda: account)


def web_identity_token() -> str:
    """AWS's signed word on who this process is."""
    from trainyard.clients import client

    answer = client("sts").get_web_identity_token(Audience=[_AUDIENCE], SigningAlgorithm="RS256", DurationSeconds=300)
    return str(answer["WebIdentityToken"])


def assume_agency(account: Account, token: str, endpoint: str = "") -> Key:
    """The agency's temporary key for that token. RuntimeError where Huawei does not give one."""
    import urllib3

    address = endpoint or f"https://sts.{account.region}.myhuaweicloud.com"
    answer = urllib3.request(
        "POST",
        f"{address}/v5/agencies/assume-with-oidc",
        json={
            "provider_urn": account.provider_urn,
            "agency_urn": account.agency_urn,
            "agency_session_name": "trainyard",
            "id_token": token,
            "duration_seconds": _AGENCY_SECONDS,
        },
        timeout=urllib3.Timeout(connect=3, read=20),
        retries=False,
        redirect=False,
    )
    if answer.status >= 300:
        raise RuntimeError(f"Huawei Cloud gives the agency no credentials: {answer.status} {answer.data[:300]!r}")
    given: dict[str, Any] = answer.json()["credentials"]
    return Key(
        access_key=given["access_key_id"],
        secret_key=given["secret_access_key"],
        security_token=given["security_token"],
        expires_at=given["expiration"],
    )


def _parsed(text: str) -> Account:
    try:
        return Account.model_validate(json.loads(text))
    except ValidationError as error:
        # pydantic's own words would show the secret.
        wrong = ", ".join(".".join(map(str, one["loc"])) or one["msg"] for one in error.errors(include_input=False))
        raise RuntimeError(f"the parameter with the keys of Huawei Cloud is wrong: {wrong}") from None
    except ValueError:
        raise RuntimeError("the parameter with the keys of Huawei Cloud is no JSON") from None
