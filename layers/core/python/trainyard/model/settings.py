"""What a function is told by its environment, read on first use and never at import."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache

from pydantic import BaseModel, ConfigDict, Field


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


# How what is no plain word is spelled in a variable.
_READERS: dict[str, Callable[[str], object]] = {
    "job_queues": json.loads,
    "job_definitions": json.loads,
    "max_vcpus": json.loads,
    "input_objects": _listed,
    "notification_topics": _listed,
    "oidc_email_domains": _listed,
    "oidc_groups": _listed,
    "smn_certificates": _listed,
    "allowed_image_registries": _listed,
}


class Settings(BaseModel):
    """Every variable is `TRAINYARD_` and the field's name in capitals. Empty: this function does not need it."""

    model_config = ConfigDict(frozen=True)

    table: str = Field("", description="Name of the DynamoDB table.")
    bucket: str = Field("", description="Name of the S3 bucket.")
    region: str = Field("us-east-1", description="AWS region that the stack is in: its prices are shown.")
    bus: str = Field("", description="Name of the EventBridge bus.")
    secrets_prefix: str = Field("/trainyard", description="Prefix of the SSM parameters that hold secrets.")
    public_url: str = Field("", description="Address under which people reach the API; empty: taken from the request.")
    git_base_url: str = Field("", description="Root of the embedded git host's clone addresses, where there is one.")
    codecommit_repositories: str = Field(
        "", description="Names of CodeCommit repositories that we may use, ending in *; new ones are made under them."
    )
    job_queues: dict[str, str] = Field({}, description="JSON: a flavor's queue name to the job queue's ARN.")
    job_definitions: dict[str, str] = Field({}, description="JSON: a framework's job definition name to its ARN.")
    script_network: str = Field("", description="Whether scripts may use the network: open or closed; empty: unknown.")
    max_vcpus: dict[str, int] = Field(
        {}, description="JSON: a family of machines, as flavors name their queue, to the most vCPUs at a time."
    )
    max_run_seconds: int = Field(0, ge=0, description="Longest time limit of an attempt; 0: any that a run may have.")
    max_wait_seconds: int = Field(86400, ge=600, description="How long a job may hold up its queue.")
    max_spot_wait_seconds: int = Field(
        1800, ge=600, description="The same for one that changes from spot to on-demand machines then."
    )
    run_role: str = Field("", description="ARN of the role whose credentials runs get, narrowed to their own objects.")
    lfs_quota_gb: float = Field(50, ge=0, description="Git LFS GB (10^9 bytes) per repository; 0: unlimited.")
    requests_per_minute: int = Field(0, ge=0, description="Requests to the API for each caller; 0: unlimited.")
    input_objects: list[str] = Field(
        [], description="ARNs of S3 objects that every run may use as inputs, `/*` at the end, separated by commas."
    )
    allowed_image_registries: list[str] = Field(
        [],
        description="HOST or HOST/PREFIX of registries whose images runs may name, separated by commas.",
    )
    signing_key: str = Field("", description="KMS key that signs bundles; empty: a key among the secrets.")
    notification_topics: list[str] = Field(
        [], description="ARNs of SNS topics that projects may publish to, separated by commas."
    )
    huawei_account: str = Field("", description="Name of the SSM parameter with the keys of Huawei Cloud; empty: none.")
    modelarts_endpoint: str = Field("", description="Where ModelArts is; empty: Huawei's own address.")
    smn_topic: str = Field(
        "", description="URN of the SMN topic that tells of a job's end; empty: none is listened to."
    )
    smn_endpoint: str = Field("", description="Where SMN is; empty: Huawei's own address in the topic's region.")
    smn_certificates: list[str] = Field(
        [], description="SHA-256 of SMN's signing certificates, separated by commas; empty: what its own host serves."
    )
    sweep_function: str = Field("", description="Name of the function that looks at Ascend runs, to wake it earlier.")
    watch_rule: str = Field(
        "", description="Name of the schedule that looks at Ascend runs; on only while there are some."
    )
    oidc_issuer: str = Field("", description="Issuer of the OpenID Connect provider that people sign in with.")
    oidc_client_id: str = Field("", description="What the provider knows this installation as.")
    oidc_scopes: str = Field("openid profile email", description="What is asked of the provider, separated by blanks.")
    oidc_user_claim: str = Field("preferred_username", description="Claim that users' names are made of.")
    oidc_email_domains: list[str] = Field(
        [], description="Domains of verified mail addresses that may sign in, separated by commas; *: everybody."
    )
    oidc_group_claim: str = Field("groups", description="Claim that lists somebody's groups.")
    oidc_groups: list[str] = Field([], description="Groups of which one is needed to sign in, separated by commas.")
    allow_loopback_http: bool = Field(False, description="Git over plain http to loopback addresses is allowed.")

    @classmethod
    def from_environment(cls, environment: dict[str, str]) -> Settings:
        """ValueError with every wrong variable at once: a wrong deployment is a bug, not a user's error."""
        values: dict[str, object] = {}
        for name in cls.model_fields:
            raw = environment.get(f"TRAINYARD_{name.upper()}")
            if raw:
                values[name] = _READERS.get(name, str)(raw)
        return cls.model_validate(values)


@cache
def settings() -> Settings:
    """The settings of this process."""
    return Settings.from_environment(dict(os.environ))
