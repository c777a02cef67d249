"""Huawei Cloud's object store through boto3: it speaks S3 where one does not ask for more than it knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trainyard.clients import CONNECT_TIMEOUT_SECONDS
from trainyard.compute.modelarts.credentials import Credentials

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_READ_SECONDS = 60
_TRIES = 5


def obs_client(credentials: Credentials, endpoint: str = "") -> S3Client:
    """A client of OBS in the account's region. Do not call `delete_objects` on it."""
    import boto3
    from botocore.config import Config
    from botocore.credentials import RefreshableCredentials
    from botocore.session import get_session

    account = credentials.account
    own: Any = get_session()
    if account.ak:
        own.set_credentials(account.ak, account.sk)
    else:
        # botocore offers no other way in for credentials that renew themselves.
        own._credentials = RefreshableCredentials.create_from_metadata(  # noqa: SLF001
            _metadata(credentials), refresh_using=lambda: _metadata(credentials), method="huawei"
        )
    client: S3Client = boto3.Session(botocore_session=own).client(
        "s3",
        region_name=account.region,
        endpoint_url=endpoint or f"https://obs.{account.region}.myhuaweicloud.com",
        config=Config(
            signature_version="s3v4",
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=_READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": _TRIES},
            # OBS knows neither the newer checksums nor chunks that are signed one by one.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "virtual", "payload_signing_enabled": False},
        ),
    )
    return client


def _metadata(credentials: Credentials) -> dict[str, str]:
    key = credentials.key()
    assert key.expires_at is not None, "an agency's key ends"
    return {
        "access_key": key.access_key,
        "secret_key": key.secret_key,
        "token": key.security_token,
        "expiry_time": key.expires_at.isoformat(),
    }
