"""How a project signs in to registries of container images: kept, listed, removed by those who may write in it."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from trainyard.intake.permissions import writable_project
from trainyard.model.errors import Conflict, InvalidInput, NotFound
from trainyard.model.image import is_registry
from trainyard.model.registry_login import RegistryCredentials, RegistryLogin, RegistryPassword, RegistryUser
from trainyard.model.repository import AccessToken, Repository
from trainyard.model.settings import settings
from trainyard.model.text import Text
from trainyard.registries.ecr import ecr_host
from trainyard.store import State
from trainyard.store.registry_logins import keep_registry_credentials, registry_login_name

MOST = 10
_NO_PROJECT = Text(en="Only projects have runs on images.", zh="只有项目才有使用镜像的训练。")


class NewRegistryLogin(BaseModel):
    """User and password, or an access token in its place, for one registry."""

    model_config = ConfigDict(extra="forbid")

    username: RegistryUser = Field(description="As `docker login` takes it.")
    password: RegistryPassword = Field(
        repr=False, description="Password or access token; one that may only read is best. It is never shown again."
    )
    token_host: str = Field(
        "",
        max_length=255,
        description="HOST or HOST:PORT that gives out the registry's tokens, where that is another host than the "
        "registry itself; Docker Hub's and GitLab.com's are known.",
    )


def keep_registry_login(
    state: State,
    project: str,
    registry: str,
    token: AccessToken | None,
    wanted: NewRegistryLogin,
    now: datetime | None = None,
) -> RegistryLogin:
    """Sign in to the registry like this from now on.

    Raises:
        Unauthenticated, NotFound, Forbidden: see `writable_repository`.
        InvalidInput: no registry that images may come from here, or one that takes no passwords.
        Conflict: the project has logins for as many registries as it may have.
    """
    repository = writable_project(state.table, project, token, _NO_PROJECT)
    assert token is not None
    registry = _checked(registry, "registry")
    _check_usable(registry)
    made = RegistryLogin(
        registry=registry,
        username=wanted.username,
        token_host=_checked(wanted.token_host, "token_host") if wanted.token_host else "",
        created_by=token.user,
        created_at=now or datetime.now(UTC),
    )
    if len(_without(repository, registry)) >= MOST:
        raise _too_many()
    credentials = RegistryCredentials(username=wanted.username, password=wanted.password, token_host=made.token_host)
    # The secret first: what is listed can be used. One that is not listed is overwritten by the next.
    try:
        keep_registry_credentials(state.secrets, repository.full_name, registry, credentials)
    except ValueError:
        raise _too_long() from None
    changed = state.table.change_repository(repository.full_name, lambda known: _with(known, made))
    if changed is None or made not in changed.registries:
        state.secrets.delete(registry_login_name(repository.full_name, registry))
        raise _too_many()
    return made


def list_registry_logins(state: State, project: str, token: AccessToken | None) -> list[RegistryLogin]:
    return writable_project(state.table, project, token, _NO_PROJECT).registries


def remove_registry_login(state: State, project: str, registry: str, token: AccessToken | None) -> None:
    """NotFound if there is none for that registry; else the errors of `writable_repository`."""
    repository = writable_project(state.table, project, token, _NO_PROJECT)
    registry = registry.lower()
    if registry not in {one.registry for one in repository.registries}:
        raise NotFound(
            Text(en="The project keeps no login for that registry.", zh="该项目没有保存此镜像仓库的登录信息。")
        )
    state.secrets.delete(registry_login_name(repository.full_name, registry))
    state.table.change_repository(
        repository.full_name, lambda known: known.model_copy(update={"registries": _without(known, registry)})
    )


def _checked(host: str, field: str) -> str:
    if len(host) <= 255 and is_registry(host):
        return host.lower()
    raise InvalidInput(
        Text(
            en="Write HOST or HOST:PORT, as in the image's name, such as ghcr.io.",
            zh="请填写镜像名称中的 主机 或 主机:端口，例如 ghcr.io。",
        ),
        details={"field": field},
    )


def _check_usable(registry: str) -> None:
    if ecr_host(registry) is not None:
        raise InvalidInput(
            Text(
                en="ECR takes no password here: the operator opens repositories with ImageRepositories.",
                zh="ECR 不使用密码：请管理员通过参数 ImageRepositories 开放其仓库。",
            ),
            details={"field": "registry"},
        )
    allowed = settings().allowed_image_registries
    if registry not in {entry.partition("/")[0].strip().lower() for entry in allowed}:
        listed = ", ".join(allowed) or "-"
        raise InvalidInput(
            Text(
                en=f"No image may come from there. Choose one of these, or ask the operator: {listed}.",
                zh=f"此处不允许使用该镜像仓库。请选择以下之一，或联系管理员：{listed}。",
            ),
            details={"field": "registry"},
        )


def _with(repository: Repository, made: RegistryLogin) -> Repository:
    others = _without(repository, made.registry)
    return repository if len(others) >= MOST else repository.model_copy(update={"registries": [*others, made]})


def _without(repository: Repository, registry: str) -> list[RegistryLogin]:
    return [one for one in repository.registries if one.registry != registry]


def _too_long() -> InvalidInput:
    return InvalidInput(
        Text(
            en="The password is longer than can be kept. Make a shorter one, such as an access token.",
            zh="密码过长，无法保存。请使用更短的密码，例如访问令牌。",
        ),
        details={"field": "password"},
    )


def _too_many() -> Conflict:
    return Conflict(
        Text(
            en=f"A project keeps logins for at most {MOST} registries. Remove one first.",
            zh=f"每个项目最多保存 {MOST} 个镜像仓库的登录信息。请先移除一个。",
        ),
        code="too_many_registries",
    )
