"""What is wrong with a value and what to write instead, for each of pydantic's error types."""

from __future__ import annotations

from typing import Any

from trainyard.model.text import Text
from trainyard.validation.document import Path
from trainyard.validation.run_file.refusals import own_words

_TYPE_NAMES = {
    "string_type": ("text", "文本"),
    "bool_type": ("true or false", "true 或 false"),
    "bool_parsing": ("true or false", "true 或 false"),
    "int_type": ("a whole number", "整数"),
    "int_parsing": ("a whole number", "整数"),
    "int_from_float": ("a whole number", "整数"),
    "float_type": ("a number", "数字"),
    "float_parsing": ("a number", "数字"),
    "list_type": ("a list, such as [main]", "列表，例如 [main]"),
    "dict_type": ("a mapping of `name: value`", "`名称: 值` 形式的映射"),
    "model_type": ("a mapping of `name: value`", "`名称: 值` 形式的映射"),
    "model_attributes_type": ("a mapping of `name: value`", "`名称: 值` 形式的映射"),
    "time_delta_type": ("a duration, such as 90s, 30m, 2h or 1d", "时长，例如 90s、30m、2h 或 1d"),
    "time_delta_parsing": ("a duration, such as 90s, 30m, 2h or 1d", "时长，例如 90s、30m、2h 或 1d"),
    "finite_number": ("a number that is finite", "有限的数字"),
}


def words(  # noqa: PLR0911 - one return for each kind
    fault: dict[str, Any], shown: str, location: Path, *, of_key: bool
) -> tuple[Text, Text]:
    """What is wrong and what to write, for one of pydantic's error types."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "missing":
        return (
            Text(en=f"`{shown}` is missing.", zh=f"缺少 `{shown}`。"),
            _how_to_give(str(location[-1]) if location else ""),
        )
    if kind in _TYPE_NAMES and "hyperparameters" in location[:-1]:
        return (
            Text(en=f"`{shown}` is no value of an argument.", zh=f"`{shown}` 不能作为参数的值。"),
            Text(
                en="Write text, a number, true or false, or a list of these.",
                zh="请填写文本、数字、true 或 false，或由它们组成的列表。",
            ),
        )
    if kind in _TYPE_NAMES:
        # Values of the environment may be passwords, which are not repeated.
        return _wrong_type(kind, None if "env" in location else fault.get("input"), shown)
    if kind == "value_error":
        return own_words(str(context.get("error", "")), shown)
    if kind == "string_pattern_mismatch":
        return _wrong_pattern(str(context.get("pattern", "")), shown, of_key=of_key)
    if kind in ("string_too_long", "string_too_short", "too_long", "too_short"):
        return _wrong_length(kind, context, shown)
    if kind in ("greater_than_equal", "less_than_equal", "greater_than", "less_than"):
        bound = {"greater_than_equal": "ge", "less_than_equal": "le", "greater_than": "gt", "less_than": "lt"}[kind]
        sign = {"ge": ">=", "le": "<=", "gt": ">", "lt": "<"}[bound]
        limit = f"{sign} {context.get(bound)}"
        return (
            Text(en=f"`{shown}` must be {limit}.", zh=f"`{shown}` 必须 {limit}。"),
            Text(en=f"Write a number {limit}.", zh=f"请填写 {limit} 的数字。"),
        )
    return (
        Text(en=f"`{shown}` has a value that does not fit here.", zh=f"`{shown}` 的值不适用于此处。"),
        Text(en="See what is allowed here in the documentation.", zh="请查看文档中此处允许的写法。"),
    )


_EXAMPLES = {
    "runs": "runs: {lenet5: {boot_file: train.py, framework: mindspore-cpu, flavor: cpu}}",
    "boot_file": "boot_file: train.py",
    "framework": "framework: mindspore-cpu",
    "flavor": "flavor: cpu",
}


def _how_to_give(name: str) -> Text:
    example = _EXAMPLES.get(name)
    if example is None:
        return Text(en="Add it.", zh="请添加。")
    return Text(en=f"Add it, such as `{example}`.", zh=f"请添加，例如 `{example}`。")


def _wrong_type(kind: str, given: Any, shown: str) -> tuple[Text, Text]:
    name_en, name_zh = _TYPE_NAMES[kind]
    message = Text(en=f"`{shown}` must be {name_en}.", zh=f"`{shown}` 必须是{name_zh}。")
    if kind == "string_type" and isinstance(given, bool | int | float):
        written = str(given).lower() if isinstance(given, bool) else str(given)[:40]
        return message, Text(en=f'Put it in quotes: "{written}".', zh=f'请加引号："{written}"。')
    if kind == "list_type" and isinstance(given, str):
        return message, Text(en=f"Put it in brackets: [{given[:40]}].", zh=f"请放入方括号：[{given[:40]}]。")
    example = _EXAMPLES.get(shown)
    if kind == "string_type":
        return message, Text(en="Put it in quotes.", zh="请加引号。")
    if given is None and example:
        return message, Text(en=f"Write `{example}`.", zh=f"请写成 `{example}`。")
    return message, Text(en=f"Write {name_en}.", zh=f"请写成{name_zh}。")


def _wrong_length(kind: str, context: dict[str, Any], shown: str) -> tuple[Text, Text]:
    unit_en, unit_zh = ("characters", "个字符") if kind.startswith("string") else ("entries", "项")
    if kind.endswith("long"):
        most = context.get("max_length")
        return (
            Text(en=f"`{shown}` is longer than {most} {unit_en}.", zh=f"`{shown}` 超过 {most} {unit_zh}。"),
            Text(en=f"Keep it to {most} {unit_en}.", zh=f"请限制在 {most} {unit_zh}以内。"),
        )
    least = context.get("min_length")
    return (
        Text(en=f"`{shown}` is empty.", zh=f"`{shown}` 为空。"),
        Text(en=f"Write at least {least} {unit_en}.", zh=f"请至少填写 {least} {unit_zh}。"),
    )


def _wrong_pattern(pattern: str, shown: str, *, of_key: bool) -> tuple[Text, Text]:
    if of_key:
        name = shown.rpartition(".")[2]
        return (
            Text(en=f"`{name}` cannot be the name of a run.", zh=f"`{name}` 不能作为训练名称。"),
            Text(
                en="Use 1 to 50 letters, digits, dashes and underscores.",
                zh="请使用 1 到 50 个字母、数字、连字符或下划线。",
            ),
        )
    if "/" in pattern:
        return (
            Text(en=f"`{shown}` must be the name of a repository.", zh=f"`{shown}` 必须是仓库名称。"),
            Text(en="Write OWNER/NAME, such as demo/digits.", zh="请写成 所有者/名称，例如 demo/digits。"),
        )
    return (
        Text(en=f"`{shown}` is not spelled as it must be.", zh=f"`{shown}` 的写法不正确。"),
        Text(en=f"It must match {pattern}.", zh=f"必须符合 {pattern}。"),
    )
