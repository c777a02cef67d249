"""Access tokens: made, listed, revoked."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from trainyard.intake.permissions import require_scope
from trainyard.model.errors import InvalidInput, NotFound
from trainyard.model.repository import Scope, UserName
from trainyard.model.text import Text
from trainyard.store.access import issue_token
from trainyard.web.messages import Answer
from trainyard.web.routes.routing import Call, body, route
from trainyard.web.views import NewTokenView, TokenList, show_token


class NewToken(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field("", max_length=100)
    scopes: list[Scope] = Field([Scope.READ], min_length=1, max_length=3)
    user: UserName | None = Field(
        None, description="For whom, if not for yourself; only with a token of the scope operate."
    )
    expires_at: AwareDatetime | None = None


@route("POST", "/v1/tokens", status=201, takes=NewToken, gives=NewTokenView)
def add_token(call: Call) -> Answer:
    """The secret is in this answer and never again."""
    wanted = body(call, NewToken)
    user = require_scope(call.token, Scope.READ).user
    if wanted.user not in (None, user):
        require_scope(call.token, Scope.OPERATE)
    for scope in wanted.scopes:
        # Nobody gets more by making a token than the token it was made with.
        require_scope(call.token, scope)
    secret, made = issue_token(
        call.state.table, wanted.user or user, wanted.scopes, wanted.name, _lifetime(call, wanted.expires_at)
    )
    return Answer(201, {**show_token(made), "token": secret})


@route("GET", "/v1/tokens", gives=TokenList)
def list_tokens(call: Call) -> Answer:
    user = require_scope(call.token, Scope.READ).user
    return Answer(200, {"tokens": [show_token(token) for token in call.state.table.tokens_of(user)]})


@route("DELETE", "/v1/tokens/{token}", status=204)
def revoke_token(call: Call) -> Answer:
    user = require_scope(call.token, Scope.WRITE).user
    for token in call.state.table.tokens_of(user):
        if token.id == call.place["token"]:
            call.state.table.delete_token(token.digest)
            return Answer(204)
    raise NotFound(Text(en="You have no token with that id.", zh="您没有此编号的令牌。"))


def _lifetime(call: Call, wanted: datetime | None) -> datetime | None:
    """When a new token ends: not after the one that it was made with."""
    if wanted is not None and wanted <= datetime.now(UTC):
        raise InvalidInput(
            Text(
                en="The token would have expired already; choose a later time.", zh="过期时间已过，请选择更晚的时间。"
            ),
            details={"field": "expires_at"},
        )
    own = call.token.expires_at if call.token else None
    return min((at for at in (wanted, own) if at is not None), default=None)
