"""Secrets in SSM SecureString parameters: webhook secrets and host tokens. Never in the table, a log or a message."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


class Secrets:
    """Parameters under one prefix."""

    def __init__(self, prefix: str, client: SSMClient | None = None) -> None:
        self._prefix = prefix.rstrip("/")
        self._given = client
        self._kept: dict[str, tuple[float, str | None]] = {}
        """When it was read, and what it was then."""

    @property
    def _ssm(self) -> SSMClient:
        if self._given is None:
            from trainyard.clients import ssm

            self._given = ssm()
        return self._given

    def get(self, name: str, max_age: float = 0.0) -> str | None:
        """The secret, or None if there is none. It may be what it was `max_age` seconds ago."""
        kept = self._kept.get(name)
        if kept is not None and kept[0] + max_age > time.monotonic():
            return kept[1]
        try:
            answer = self._ssm.get_parameter(Name=f"{self._prefix}/{name}", WithDecryption=True)
            value: str | None = answer["Parameter"]["Value"]
        except self._ssm.exceptions.ParameterNotFound:
            value = None
        self._kept[name] = (time.monotonic(), value)
        return value

    def put(self, name: str, value: str) -> None:
        self._ssm.put_parameter(Name=f"{self._prefix}/{name}", Value=value, Type="SecureString", Overwrite=True)
        self._kept.pop(name, None)

    def put_if_absent(self, name: str, value: str) -> bool:
        """False, and nothing is changed, if there is one of that name."""
        self._kept.pop(name, None)
        try:
            self._ssm.put_parameter(Name=f"{self._prefix}/{name}", Value=value, Type="SecureString")
        except self._ssm.exceptions.ParameterAlreadyExists:
            return False
        return True

    def delete(self, name: str) -> None:
        self._kept.pop(name, None)
        try:
            self._ssm.delete_parameter(Name=f"{self._prefix}/{name}")
        except self._ssm.exceptions.ParameterNotFound:
            return


def webhook_secret_name(repository: str) -> str:
    return f"webhooks/{repository}"


def notification_secret_name(project: str, notification_id: str) -> str:
    return f"hosts/{project}/notifications/{notification_id}"


def host_token_name(repository: str) -> str:
    return f"hosts/{repository}"
