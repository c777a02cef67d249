"""Who asks, and may they? The same tokens as everywhere; the repository decides."""

from __future__ import annotations

from dataclasses import dataclass

from trainyard.model.errors import Forbidden, NotFound, Unauthenticated
from trainyard.model.repository import AccessToken, Repository, Scope
from trainyard.model.text import Text
from trainyard.store.access import authenticate
from trainyard.store.table import Table

_SIGN_IN = Text(
    en="Sign in with your user name and an access token as password.",
    zh="请使用用户名登录，密码处填写访问令牌（token）。",
)


@dataclass(frozen=True)
class Caller:
    """Somebody who may at least read the repository."""

    repository: Repository
    token: AccessToken | None

    @property
    def user(self) -> str:
        return self.token.user if self.token else ""

    def require_write(self) -> None:
        """Unauthenticated without a token; Forbidden if the token or its user may not write here."""
        if self.token is None:
            raise Unauthenticated(_SIGN_IN)
        if Scope.WRITE not in self.token.scopes:
            raise Forbidden(
                Text(
                    en="This token may only read. Make one with the scope `write` and use it as password.",
                    zh="该令牌只有读权限，请新建带 write 权限的令牌并用作密码。",
                )
            )
        if not self.repository.may_write(self.token.user):
            name = self.repository.full_name
            raise Forbidden(
                Text(
                    en=f"{self.token.user} may not write to {name}; ask its owner to add you as a member.",
                    zh=f"{self.token.user} 没有 {name} 的写权限，请联系仓库所有者将您加为成员。",
                )
            )


def find_caller(table: Table, full_name: str, authorization: str | None) -> Caller:
    """Unauthenticated for wrong credentials and for none where some are needed; NotFound for what one may not see.

    A private repository and one that does not exist look the same.
    """
    token = authenticate(table, authorization)
    repository = table.repository(full_name)
    reader = token.user if token and {Scope.READ, Scope.WRITE} & set(token.scopes) else None
    if repository is not None and repository.may_read(reader):
        return Caller(repository, token)
    if token is None:
        raise Unauthenticated(_SIGN_IN)
    raise NotFound(
        Text(
            en=f"There is no repository {full_name}, or {token.user} may not read it.",
            zh=f"仓库 {full_name} 不存在，或 {token.user} 没有读权限。",
        )
    )
