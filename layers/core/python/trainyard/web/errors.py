"""The one place that maps errors to HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger

from trainyard.model.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    QuotaExceeded,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    UserError,
)
from trainyard.model.text import Language, Text
from trainyard.web.messages import Answer

logger = Logger()

STATUSES: dict[type[UserError], int] = {
    InvalidInput: 422,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    QuotaExceeded: 507,
    TooManyRequests: 429,
    UserError: 400,
}
_OURS = Text(
    en="Something went wrong on our side. Try again; if it stays, tell the operator the time and this address.",
    zh="服务器内部错误。请重试；如仍出现，请将时间和请求地址告知管理员。",
)


def answered(act: Callable[[], Answer], language: Language) -> dict[str, Any]:
    """For the gateway: what `act` answers, or what its error amounts to, always `{code, message, details}`.

    `message` and every text in `details` are in the caller's language.
    """
    try:
        return act().to_gateway()
    except UserError as error:
        status = status_of(error)
        headers = {"www-authenticate": 'Basic realm="trainyard", charset="UTF-8"'} if status == 401 else {}
        if "retry_after" in error.details:
            headers["retry-after"] = str(error.details["retry_after"])
        return Answer(status, _body(error.code, error.message, error.details, language), headers).to_gateway()
    except Exception:  # whatever it is, the caller gets an answer and the log gets the reason
        logger.exception("unexpected")
        return Answer(500, _body("internal_error", _OURS, {}, language)).to_gateway()


def answered_page(act: Callable[[], dict[str, Any]], explain: Callable[[int, Text], dict[str, Any]]) -> dict[str, Any]:
    """The same for a page: what `act` answers, or a page that explains the error to a person."""
    try:
        return act()
    except UserError as error:
        return explain(status_of(error), error.message)
    except Exception:  # as above
        logger.exception("unexpected")
        return explain(500, _OURS)


def status_of(error: UserError) -> int:
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def _body(code: str, message: Text, details: dict[str, object], language: Language) -> dict[str, object]:
    return {"code": code, "message": message.in_language(language), "details": in_language(details, language)}


def in_language(value: object, language: Language) -> object:
    """`value` with every text in it, at any depth, in one language."""
    if isinstance(value, Text):
        return value.in_language(language)
    if isinstance(value, dict):
        return {name: in_language(inner, language) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [in_language(inner, language) for inner in value]
    return value
