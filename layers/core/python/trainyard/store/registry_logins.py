"""What projects keep to sign in to container registries."""

from __future__ import annotations

from trainyard.model.registry_login import RegistryCredentials
from trainyard.model.repository import Repository
from trainyard.store.secrets import Secrets

MAX_SECRET = 4096
"""Bytes of a parameter of SSM's standard tier, which costs nothing."""


def registry_login_name(project: str, registry: str) -> str:
    """Of the secret. Parameters' names hold no colon, hosts' names no underscore."""
    return f"hosts/{project}/registries/{registry.replace(':', '_')}"


def keep_registry_credentials(secrets: Secrets, project: str, registry: str, credentials: RegistryCredentials) -> None:
    """ValueError where they are longer than a secret may be."""
    secret = credentials.model_dump_json()
    if len(secret.encode()) > MAX_SECRET:
        raise ValueError(f"a secret has at most {MAX_SECRET} bytes")
    secrets.put(registry_login_name(project, registry), secret)


def registry_credentials(secrets: Secrets, project: Repository | None, registry: str) -> RegistryCredentials | None:
    """None where the project has none for that registry."""
    if project is None or registry not in {one.registry for one in project.registries}:
        return None
    kept = secrets.get(registry_login_name(project.full_name, registry))
    return RegistryCredentials.model_validate_json(kept) if kept else None
