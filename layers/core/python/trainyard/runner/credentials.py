"""The runner's credentials: asked of the API with the job's token, and again before they run out."""

from __future__ import annotations

import json
import random
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from trainyard.clients import make_client
from trainyard.model.registry_login import RegistryCredentials
from trainyard.registries.contract import Registry
from trainyard.registries.registry import registry
from trainyard.runner.image import Registries
from trainyard.runner.job import Job
from trainyard.store.objects import Objects

if TYPE_CHECKING:
    from boto3 import Session

_TRIES = 10
_TIMEOUT_SECONDS = 30.0
# Two minutes in all: an API that has too much to do for a while must not cost a run that has its machine already.
_LONGEST_PAUSE_SECONDS = 30.0
# A refusal is final; anything else may be a moment's trouble of the network or of the API.
_FINAL = (400, 401, 403, 404, 409)


def session_of(job: Job) -> Session | None:
    """What this job may do in AWS. None for a job without a token: it has its credentials from its surroundings.

    Raises URLError where the API gives none: then there is nowhere to store anything.
    """
    if not job.token:
        return None
    import boto3
    from botocore.credentials import RefreshableCredentials
    from botocore.session import get_session

    def ask() -> dict[str, str]:
        return _ask(job)

    own: Any = get_session()
    # botocore offers no other way in for credentials that renew themselves.
    own._credentials = RefreshableCredentials.create_from_metadata(  # noqa: SLF001
        ask(), refresh_using=ask, method="trainyard"
    )
    return boto3.Session(botocore_session=own)


def objects_of(job: Job, session: Session | None) -> Objects:
    """The bucket as this job may use it."""
    return Objects(job.bucket, make_client("s3", session=session) if session else None)


def registries_of(job: Job, session: Session | None) -> Registries:
    """The registries as this job may use them. Its project's password is asked for only where an image is fetched."""

    def open_registry(host: str) -> Registry:
        given = _post(job, "registry-login")["login"] if job.token else None
        return registry(host, session, RegistryCredentials.model_validate(given) if given else None)

    return open_registry


def _ask(job: Job) -> dict[str, str]:
    """Credentials as botocore names their parts."""
    given = _post(job, "credentials")
    return {
        "access_key": given["access_key_id"],
        "secret_key": given["secret_access_key"],
        "token": given["session_token"],
        "expiry_time": given["expires_at"],
    }


def _post(job: Job, place: str) -> dict[str, Any]:
    """What the API gives to the job with this token."""
    request = urllib.request.Request(  # noqa: S310 - the operator's own address
        f"{job.api}/v1/runs/{job.run_id}/{place}", method="POST", headers={"authorization": f"Bearer {job.token}"}
    )
    for tries_left in reversed(range(_TRIES)):
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
                given: dict[str, Any] = json.load(answer)
                return given
        except (OSError, ValueError) as error:  # ValueError: cut off on the way
            if not tries_left or getattr(error, "code", None) in _FINAL:
                raise
            time.sleep(_pause(_TRIES - tries_left))
    raise AssertionError


def _pause(tries: int) -> float:
    """Seconds until the next try. Jobs that began together do not ask together again."""
    return float(min(2.0 ** (tries - 2), _LONGEST_PAUSE_SECONDS) * random.uniform(0.75, 1.25))  # noqa: S311
