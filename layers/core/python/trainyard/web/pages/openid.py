"""Signing in at another service with OpenID Connect, where the operator named one."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

from trainyard.identity.attempt import LASTS_SECONDS
from trainyard.identity.id_token import IdTokenRefusedError
from trainyard.identity.provider import ProviderFailedError
from trainyard.identity.sign_in import begin, finish
from trainyard.model.errors import NotFound, UserError
from trainyard.model.settings import Settings, settings
from trainyard.model.text import Text
from trainyard.store.access import open_session_without_token
from trainyard.web.errors import logger, status_of
from trainyard.web.pages.answers import PageAnswer
from trainyard.web.pages.routing import Visit, limit_rate, page
from trainyard.web.pages.sign_in import enter, inside, sign_in_page

CALLBACK = "/sign-in/openid/callback"
_AWAY = Text(
    en="The sign-in service does not answer as it should. Try again in a minute; if it stays, tell the operator.",
    zh="登录服务未正常响应。请稍后重试；如仍出现，请联系平台管理员。",
)


@page("GET", "/sign-in/openid")
def go_to_service(visit: Visit) -> PageAnswer:
    """A link and no form: browsers hold forms, and what they are redirected to, to this site's own policy."""
    known = _known()
    limit_rate(visit.request)
    to = inside(visit.request.query.get("to", ""))
    try:
        address, cookie = begin(visit.state, known, _callback(visit), to)
    except ProviderFailedError as error:
        return _away(visit, to, error)
    visit.cookies.keep_attempt(cookie, timedelta(seconds=LASTS_SECONDS))
    return visit.redirect(address)


@page("GET", CALLBACK)
def come_back(visit: Visit) -> PageAnswer:
    known = _known()
    limit_rate(visit.request)
    visit.cookies.forget_attempt()
    try:
        user, to = finish(visit.state, known, _callback(visit), visit.request.query, visit.cookies.attempt)
    except UserError as error:
        return sign_in_page(visit, "/", status_of(error), refused=error.message)
    except (ProviderFailedError, IdTokenRefusedError) as error:
        return _away(visit, "/", error)
    service = urlsplit(known.oidc_issuer).netloc
    enter(visit, open_session_without_token(visit.state.table, user, service[:100]))
    return visit.redirect(inside(to))


def _away(visit: Visit, to: str, error: Exception) -> PageAnswer:
    logger.warning("sign-in", extra={"reason": str(error)[:500]})
    return sign_in_page(visit, to, 503, refused=_AWAY)


def _known() -> Settings:
    known = settings()
    if not known.oidc_issuer:
        raise NotFound(Text(en="There is no such page. Check the address.", zh="没有此页面，请检查地址。"))
    return known


def _callback(visit: Visit) -> str:
    return visit.request.public_url.rstrip("/") + CALLBACK
