"""What is wrong with which field, in words for people: pydantic's errors in our two languages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from trainyard.model.errors import InvalidInput
from trainyard.model.repository import HOST_TOKEN, USER_NAME
from trainyard.model.text import Text

# What pydantic adds to the place of an error for each member of a union, when none of them fits.
_BRANCH = re.compile(r"str|bool|int|float|(list|literal)\[.*|constrained-.*", re.DOTALL)
# What may be written where one of several kinds of value fits, by the field or by what it lies in.
_UNIONS = {
    "hyperparameters": Text(
        en="Write text, a number, true or false, or a list of these.",
        zh="请填写文本、数字、true 或 false，或由它们组成的列表。",
    ),
    "processes": Text(en="Write auto or a whole number from 1 to 64.", zh="请填写 auto，或 1 到 64 的整数。"),
}

_FIXED = {
    "missing": Text(en="This field is required.", zh="此字段为必填项。"),
    "string_type": Text(en='Write text here; a number in quotes, as "1".', zh='此处应为文本；数字请加引号，例如 "1"。'),
    "bool_type": Text(en="Write true or false.", zh="请填写 true 或 false。"),
    "bool_parsing": Text(en="Write true or false.", zh="请填写 true 或 false。"),
    "int_type": Text(en="Write a whole number.", zh="请填写整数。"),
    "int_parsing": Text(en="Write a whole number.", zh="请填写整数。"),
    "int_from_float": Text(en="Write a whole number.", zh="请填写整数。"),
    "dict_type": Text(en="Write pairs of names and values here.", zh="此处应为名称和值的键值对。"),
    "model_type": Text(en="Write pairs of names and values here.", zh="此处应为名称和值的键值对。"),
    "model_attributes_type": Text(en="Write pairs of names and values here.", zh="此处应为名称和值的键值对。"),
    "list_type": Text(en="Write a list here.", zh="此处应为列表。"),
    "too_short": Text(en="Write at least one entry.", zh="请至少填写一项。"),
    "float_type": Text(en="Write a number.", zh="请填写数字。"),
    "float_parsing": Text(en="Write a number.", zh="请填写数字。"),
    "int_parsing_size": Text(en="That number is too large.", zh="该数字过大。"),
    "finite_number": Text(en="Write a number that is finite.", zh="请填写有限的数字。"),
    "json_invalid": Text(en="The body is not JSON.", zh="请求内容不是 JSON。"),
    "time_delta_type": Text(en="Write a duration as 90s, 30m, 2h or 1d.", zh="请填写时长，例如 90s、30m、2h 或 1d。"),
    "time_delta_parsing": Text(
        en="Write a duration as 90s, 30m, 2h or 1d.", zh="请填写时长，例如 90s、30m、2h 或 1d。"
    ),
    "string_unicode": Text(en="This text is not valid Unicode.", zh="此文本不是有效的 Unicode。"),
} | dict.fromkeys(
    ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
    Text(en="Write a time as 2026-01-31T12:00:00Z.", zh="请填写时间，例如 2026-01-31T12:00:00Z。"),
)
# Those that speak of a limit, and the limit's name in what pydantic tells.
_WITH_LIMIT = {
    "string_too_long": ("max_length", Text(en="At most {} characters.", zh="最多 {} 个字符。")),
    "string_too_short": ("min_length", Text(en="At least {} characters.", zh="至少 {} 个字符。")),
    "too_long": ("max_length", Text(en="At most {} entries.", zh="最多 {} 项。")),
    "greater_than": ("gt", Text(en="More than {}.", zh="须大于 {}。")),
    "less_than": ("lt", Text(en="Less than {}.", zh="须小于 {}。")),
    "greater_than_equal": ("ge", Text(en="At least {}.", zh="不小于 {}。")),
    "less_than_equal": ("le", Text(en="At most {}.", zh="不大于 {}。")),
    "enum": ("expected", Text(en="Choose one of {}.", zh="请选择：{}。")),
    "literal_error": ("expected", Text(en="Choose one of {}.", zh="请选择：{}。")),
}
_PATTERNS = {
    USER_NAME: Text(
        en="Write a user name: letters, digits, dots, hyphens and underscores, at most 63.",
        zh="请填写用户名：最多 63 个字母、数字、点、连字符或下划线。",
    ),
    HOST_TOKEN: Text(
        en="A token has no spaces and no other characters than ASCII. Copy it once more.",
        zh="令牌不含空格，且只能包含 ASCII 字符。请重新复制。",
    ),
    "^[A-Za-z0-9_-]{1,50}$": Text(
        en="Use 1 to 50 letters, digits, hyphens and underscores.", zh="请使用 1 到 50 个字母、数字、连字符或下划线。"
    ),
    "^[0-9a-f]{40}([0-9a-f]{24})?$": Text(
        en="Write the full commit id: 40 (or 64) hex digits in lower case.",
        zh="请填写完整的提交 ID：40（或 64）位小写十六进制数字。",
    ),
}
_FULL_NAME = Text(en="Write it as OWNER/NAME, such as demo/digits.", zh="请按 所有者/名称 填写，例如 demo/digits。")
# What the checks of RunSpec say, for those who read Chinese; what is not here is shown as it is.
_CHINESE = {
    "write a duration as": "请填写时长，例如 90s、30m、2h 或 1d。",
    "that duration is too long": "时长过长。",
    "name exactly one of": "dataset、model、run 和 s3 必须且只能填写一个。",
    "name either a framework or an image": "请填写 framework 或自定义镜像 image，二者选一。",
    "write an image with its registry": "请填写带仓库地址的镜像名称，例如 docker.io/library/python:3.12。",
    "write an image with a tag or a digest": "请填写镜像的标签或摘要。",
    "write an image's digest as": "镜像摘要须为 @sha256: 加 64 位小写十六进制数字。",
    "an image's repository is": "镜像名称只能包含小写字母、数字以及 . _ -，以斜杠分段。",
    "an image's tag is": "镜像标签最多 128 个字母、数字或 . _ -，且不以 . 或 - 开头。",
    "the name of an image has at most": "镜像名称过长。",
    "write a run's id or": "请填写训练 ID，或 `latest 所有者/项目`。",
    "write s3://": "请写成 s3://桶/前缀。",
    "a child is a training of a sweep": "child 是超参搜索中的一次训练，请同时填写 run。",
    "a run's output has no revision": "训练输出没有版本，请去掉 revision。",
    "the boot file must be": "启动文件必须是 .py 文件。",
    "the script must be": "评估脚本必须是 .py 文件。",
    "model_url is set by the platform": "model_url 由平台设置，请换一个名称。",
    "inputs and hyperparameters are the script's": "评估的输入和超参用于评估脚本，请填写 script。",
    "an evaluation script needs what the run leaves": "评估脚本需要训练的输出，请设置 output: true。",
    "write a path relative": "请填写相对于仓库根目录的路径，使用正斜杠。",
    "a path may not contain": "路径中不能包含 ..。",
    "choose from": "时长应在 1m 到 14d 之间。",
    "at most 100 environment": "环境变量最多 100 个。",
    "at most 100 hyperparameters": "超参最多 100 个，输入最多 50 个。",
    "hyperparameters hold more than": "超参总长度过大，请写入仓库中的文件。",
    "a hyperparameter holds a null byte": "超参包含空字节，请删除。",
    "a revision has": "revision 包含控制字符，请填写分支、标签或提交。",
    "the lists make": "超参组合过多，一次搜索最多 10000 个。",
    "a sweep has no evaluation script": "超参搜索不支持评估脚本。",
    "a sweep cannot change its machines": "超参搜索不支持 spot_first，请选择 spot 或 on_demand。",
    "several nodes train one combination": "超参搜索的每个训练只用一台机器，请删除 nodes。",
    "several nodes are on-demand machines": "多机训练只支持按需机器，请选择 on_demand。",
    "that is not the name of a branch": "这不是有效的分支或标签名称。",
}
_CHINESE_ENDINGS = {
    "lists a value twice": "列表中有重复的值。",
    "is not a name of an environment variable": "不是有效的环境变量名。",
    "is reserved for the platform; choose another name": "为平台保留，请换一个名称。",
    "characters or holds a null byte": "的值超过 4096 个字符或包含空字节。",
    "cannot be the name of an argument": "不能用作参数名。",
    "use `output: true` or `aim: true`": "由平台设置：请使用 output: true 或 aim: true。",
    "is both an input and a hyperparameter": "既是输入又是超参，请改名。",
}


def invalid_input(
    error: ValidationError,
    prefix: str = "",
    labels: Mapping[str, str] | None = None,
    model: type[BaseModel] | None = None,
) -> InvalidInput:
    """One error that names every wrong field.

    `details.fields`: a list of `{"field": "spec.boot_file", "message": Text}`. `prefix` goes before each field;
    `labels` replaces a field's name by what the user called it; `model` is what did not fit, whose fields are proposed
    in place of unknown ones.
    """
    return invalid_fields(fields_of(error, prefix, model), labels)


def invalid_fields(fields: Mapping[str, Text], labels: Mapping[str, str] | None = None) -> InvalidInput:
    """The same for faults that were found otherwise."""
    named = {(labels or {}).get(field, field): text for field, text in fields.items()}
    first, text = next(iter(named.items()))
    more = len(named) - 1
    where = first or "body"
    return InvalidInput(
        Text(
            en=f"{where}: {text.en}" + (f" ({more} more below)" if more else ""),
            zh=f"{where}：{text.zh}" + (f"（另有 {more} 处错误）" if more else ""),
        ),
        details={"fields": [{"field": field, "message": text} for field, text in named.items()]},
    )


def checked_user(name: str) -> str:
    """`name` itself, if somebody can be called that. InvalidInput otherwise."""
    if not re.fullmatch(USER_NAME, name):
        raise InvalidInput(_PATTERNS[USER_NAME], details={"field": "user"})
    return name


def fields_of(error: ValidationError, prefix: str = "", model: type[BaseModel] | None = None) -> dict[str, Text]:
    """Each wrong field, as a dotted path, and what to do about it; one fault a field, the first.

    `model`: what did not fit; its fields are proposed in place of unknown ones.
    """
    problems = error.errors(include_url=False)
    fields: dict[str, Text] = {}
    for problem in problems:
        if _speaks_of_no_list(problem, problems):
            continue
        place = _place(problem)
        text = _several_kinds(problem, place) or _text(problem, _fields_at(model, place[:-1]))
        fields.setdefault(".".join(part for part in [prefix, *place] if part), text)
    return fields


def unknown_field(name: str, known: Iterable[str]) -> Text:
    """An unknown field, with the one that was probably meant."""
    close = difflib.get_close_matches(name, list(known), 1)
    return Text(
        en="There is no such field." + (f" Did you mean {close[0]}?" if close else " Remove it."),
        zh="没有此字段。" + (f"您是否想填写 {close[0]}？" if close else "请删除。"),
    )


def _place(problem: ErrorDetails) -> list[str]:
    first, *inner = [str(part) for part in problem["loc"]] or [""]
    return [first, *(part for part in inner if not _BRANCH.fullmatch(part))]


def _speaks_of_no_list(problem: ErrorDetails, problems: list[ErrorDetails]) -> bool:
    """That a list is no text is no news where a list may be written, too: what is wrong in the list counts."""
    *place, branch = problem["loc"] or ("",)
    if not isinstance(problem["input"], list) or str(branch) not in ("str", "bool", "int", "float"):
        return False
    depth = len(place)
    others = [other["loc"] for other in problems if len(other["loc"]) > depth and [*other["loc"][:depth]] == place]
    return any(str(other[depth]).startswith("list[") for other in others)


def _several_kinds(problem: ErrorDetails, place: list[str]) -> Text | None:
    """What may be written where several kinds of value fit and this is none of them."""
    is_branch = len(problem["loc"]) > 1 and _BRANCH.fullmatch(str(problem["loc"][-1])) is not None
    if not is_branch or (problem["type"] in ("too_long", "too_short")):
        return None
    return next((text for name, text in _UNIONS.items() if name in place), None)


def _fields_at(model: type[BaseModel] | None, place: list[str]) -> list[str]:
    """Names of the fields that there are at a place in the model; none where it holds no fields of ours."""
    for part in place:
        field = model.model_fields.get(part) if model else None
        kinds = (field.annotation, *get_args(field.annotation)) if field else ()
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return list(model.model_fields) if model else []


def _text(problem: ErrorDetails, known: list[str]) -> Text:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown_field(str(problem["loc"][-1]), known)
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in _WITH_LIMIT:
        limit, template = _WITH_LIMIT[kind]
        bound = f"{context[limit]:.15g}" if isinstance(context[limit], float) else str(context[limit])
        return Text(
            en=template.en.format(bound), zh=template.zh.format(bound.replace(" or ", "、").replace(", ", "、"))
        )
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], _FULL_NAME)
    if kind == "value_error":
        return _own(str(context["error"]))
    return Text(en=f"{problem['msg']}.", zh=f"该值无效：{problem['msg']}。")


def _own(message: str) -> Text:
    """What a check of ours said."""
    english = message[:1].upper() + message[1:] + "."
    for start, chinese in _CHINESE.items():
        if message.startswith(start):
            return Text(en=english, zh=chinese)
    for ending, chinese in _CHINESE_ENDINGS.items():
        if message.endswith(ending):
            return Text(en=english, zh=f"{message.split(maxsplit=1)[0]} {chinese}")
    return Text(en=english, zh=f"该值无效：{message}。")
