"""A job's way to its objects: a token that only it has is exchanged for credentials that reach only its run.

The job's own role allows nothing. The runner asks with the job's token, again and again in a run of days, and gets
credentials of the role for runs, narrowed by a session policy to the run's prefixes and the inputs that were pinned.
"""

from __future__ import annotations

import hmac
import json
import posixpath
import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from trainyard.model.errors import Conflict, Unauthenticated
from trainyard.model.image import ImageReference
from trainyard.model.registry_login import RegistryCredentials
from trainyard.model.request import InputFile, RunRequest
from trainyard.model.run import Run
from trainyard.model.text import Text
from trainyard.registries.ecr import ecr_host
from trainyard.store import State, layout
from trainyard.store.access import token_digest
from trainyard.store.registry_logins import registry_credentials

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

TOKEN_PREFIX = "tyj_"  # noqa: S105 - not a secret: it lets secret scanners recognise one
SECONDS = 3600
"""A role that was assumed by a role lasts an hour at most."""
MAX_POLICY_CHARACTERS = 2048
"""AWS's limit of a session policy."""
_WRONG = Text(
    en="The job's token is wrong, or its run has ended.",
    zh="作业令牌错误，或训练已结束。",
)


class JobCredentials(BaseModel):
    """What the runner works with until `expires_at`."""

    model_config = ConfigDict(frozen=True)

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: datetime


class JobRegistryLogin(BaseModel):
    """How the job signs in where its image lies; null: as everybody does."""

    model_config = ConfigDict(frozen=True)

    login: RegistryCredentials | None


def new_job_token() -> tuple[str, str]:
    """A secret for one job, and what is stored of it."""
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    return secret, token_digest(secret)


def issue_credentials(
    state: State, run_id: str, authorization: str | None, role: str, sts: STSClient | None = None
) -> JobCredentials:
    """Credentials for the job whose token is in the header `Bearer TOKEN`.

    `role`: ARN of the role for runs. Unauthenticated if the token is not one of that run's, or it has ended.
    """
    _, request = _of_job(state, run_id, authorization)
    if sts is None:
        from trainyard.clients import client

        sts = client("sts")
    partition = role.split(":")[1]
    answer = sts.assume_role(
        RoleArn=role,
        RoleSessionName=run_id,
        Policy=session_policy(request, f"arn:{partition}:s3:::{state.objects.bucket}"),
        DurationSeconds=SECONDS,
    )["Credentials"]
    return JobCredentials(
        access_key_id=answer["AccessKeyId"],
        secret_access_key=answer["SecretAccessKey"],
        session_token=answer["SessionToken"],
        expires_at=answer["Expiration"],
    )


def registry_login(state: State, run_id: str, authorization: str | None) -> JobRegistryLogin:
    """What the job whose token is in the header needs to pull its run's image. Errors of `issue_credentials`."""
    run, request = _of_job(state, run_id, authorization)
    if request.image is None:
        return JobRegistryLogin(login=None)
    registry = ImageReference.parse(request.image.reference).registry
    project = state.table.repository(run.project)
    return JobRegistryLogin(login=registry_credentials(state.secrets, project, registry))


def _of_job(state: State, run_id: str, authorization: str | None) -> tuple[Run, RunRequest]:
    """The run, where the token is that of its job and it has not ended; else Unauthenticated."""
    run = state.table.run(run_id)
    if run is None or run.state.is_final or not _is_job_of(run, authorization):
        raise Unauthenticated(_WRONG)
    return run, RunRequest.model_validate_json(state.objects.get(layout.request_key(run_id)))


def session_policy(request: RunRequest, bucket: str) -> str:
    """JSON of at most 2,048 characters: all that the run may do in the bucket with this ARN.

    Inputs of very many repositories are named by their owners. Conflict where even that is too long.
    """
    for depth in (_REPOSITORY, _OWNER):
        policy = json.dumps(_policy(request, bucket, depth), separators=(",", ":"))
        if len(policy) <= MAX_POLICY_CHARACTERS:
            return policy
    raise Conflict(
        Text(
            en="The run has inputs from too many repositories. Put the files of some of them into one.",
            zh="训练的输入来自过多的仓库。请将部分文件合并到同一个仓库。",
        )
    )


# How many parts of a key name an input's source: lfs/OWNER/NAME/..., runs/ID/output/...
_REPOSITORY, _OWNER = 3, 2


def _policy(request: RunRequest, bucket: str, depth: int) -> dict[str, Any]:
    run = f"{bucket}/{layout.run_prefix(request.run_id)}"
    files = [file for pinned in request.inputs for file in pinned.files]
    ours = {f"{bucket}/{'/'.join(file.key.split('/')[:depth])}/*" for file in files if not file.bucket}
    partition = bucket.partition(":s3:")[0]
    theirs = {f"{partition}:s3:::{name}/{_folder(keys, depth)}*" for name, keys in _elsewhere(files).items()}
    inputs = sorted(ours | theirs)
    image = _image_repository(request, partition.split(":")[1])
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": [f"{run}*", *inputs]},
            {
                "Effect": "Allow",
                "Action": ["s3:PutObject", "s3:AbortMultipartUpload"],
                "Resource": [f"{run}{part}/*" for part in ("attempts", "output", "aim", "children", "nodes")],
            },
            {
                "Effect": "Allow",
                "Action": "s3:DeleteObject",
                "Resource": [f"{run}{part}/*" for part in ("output", "children", "nodes")],
            },
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": bucket,
                "Condition": {"StringLike": {"s3:prefix": f"{layout.run_prefix(request.run_id)}*"}},
            },
            *([{"Effect": "Allow", "Action": "ecr:GetDownloadUrlForLayer", "Resource": image}] if image else []),
        ],
    }


def _image_repository(request: RunRequest, partition: str) -> str | None:
    """ARN of the private repository that the run's own image lies in; None where everybody may pull it."""
    if request.image is None:
        return None
    reference = ImageReference.parse(request.image.reference)
    host = ecr_host(reference.registry)
    if host is None:
        return None
    return f"arn:{partition}:ecr:{host.region}:{host.account}:repository/{reference.repository}"


def _elsewhere(files: list[InputFile]) -> dict[str, list[str]]:
    """The keys of inputs in buckets of others, by bucket."""
    keys: dict[str, list[str]] = {}
    for file in files:
        if file.bucket:
            keys.setdefault(file.bucket, []).append(file.key)
    return keys


def _folder(keys: list[str], depth: int) -> str:
    """The folder that holds all the keys; the role itself says which parts of that bucket are inputs."""
    folder = posixpath.commonpath([posixpath.dirname(key) for key in keys])
    return f"{folder}/" if folder and depth == _REPOSITORY else ""


def _is_job_of(run: Run, authorization: str | None) -> bool:
    scheme, _, secret = (authorization or "").partition(" ")
    digest = token_digest(secret.strip())
    return scheme.lower() == "bearer" and any(hmac.compare_digest(digest, known) for known in run.job_tokens)
