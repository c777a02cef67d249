"""What the run passes, the script accepts; what the script insists on, the run passes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.finding import Finding, Severity
from trainyard.model.spec import AIM_ARGUMENT, OUTPUT_ARGUMENT
from trainyard.model.text import Text
from trainyard.validation.arguments import Accepted, Argument, accepted_arguments
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, RunRule
from trainyard.validation.suggestion import nearest
from trainyard.validation.view import Place, RunView

_HEAD = "import argparse\nparser = argparse.ArgumentParser()\n"
_TAIL = "args = parser.parse_args()\n"
_EPOCHS = EXAMPLE_SPEC + "    hyperparameters: {epochs: 10}\n"
_DATA = EXAMPLE_SPEC + "    inputs: {data_url: {dataset: demo/digits}}\n"
_OUTPUT = EXAMPLE_SPEC.replace("output: false", "output: true")


def _script(*lines: str) -> str:
    return _HEAD + "".join(f"parser.add_argument({line})\n" for line in lines) + _TAIL


def _with(spec: str, script: str, line: int | None = None) -> Example:
    return Example({"trainyard.yaml": spec, "train.py": script}, line=line)


class ArgumentNotAccepted(RunRule):
    id: ClassVar[str] = "argument-not-accepted"
    title = Text(en="The script does not accept an argument", zh="脚本不接受某个参数")
    explanation = Text(
        en="Every input, every hyperparameter, `--output_path` (unless `output: false`) and, with `aim: true`, "
        "`--aim_repo` is passed to the script, whose parser refuses what it does not know. argparse, click, typer, "
        "absl, "
        "fire and HfArgumentParser are understood; where the code does not tell, nothing is said.",
        zh="每个输入、每个超参、`--output_path`（除非 `output: false`），以及 `aim: true` 时的 `--aim_repo` "
        "都会传给脚本，"
        "而解析器会拒绝未知参数。可识别 argparse、click、typer、absl、fire 和 HfArgumentParser；无法判断时不报告。",
    )
    failing = (
        _with(_EPOCHS, _script("'--epoch_size', type=int"), 7),
        _with(_DATA, _script("'--data_ulr'"), 7),
        _with(_OUTPUT, _script("'--data_url'"), 6),
        _with(
            _EPOCHS,
            "import typer\n\ndef main(epoch_count: int = 1):\n    pass\n\ntyper.run(main)\n",
            7,
        ),
        _with(
            EXAMPLE_SPEC + "    aim: true\n",
            "import click\n\n@click.command()\n@click.option('--epochs')\ndef main(epochs):\n    pass\n\nmain()\n",
            7,
        ),
    )
    passing = (
        _with(_EPOCHS, _script("'--epochs', type=int, default=1")),
        _with(_OUTPUT, _HEAD + "args, rest = parser.parse_known_args()\n"),
        _with(_DATA, "import sys\nprint(sys.argv)\n"),
        _with(_DATA, "import fire\n\ndef main(data_url='', **more):\n    pass\n\nfire.Fire(main)\n"),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        accepted = accepted_arguments(view.scripts)
        if not accepted.decided:
            return
        for name, path in _passed(view):
            if accepted.find(name) is None:
                yield self._refused(view, accepted, name, path)

    def _refused(self, view: RunView, accepted: Accepted, name: str, path: tuple[str, ...]) -> Finding:
        known = [
            long.removeprefix("--")
            for argument in accepted.arguments
            for long in argument.names
            if long.startswith("--")
        ]
        provided = {name for name, _ in _passed(view)}
        meant = nearest(name, [candidate for candidate in known if candidate not in provided])
        return self.finding(
            view.place(*path, of_key=True),
            Text(
                en=f"{view.boot_path} does not accept `--{name}`.",
                zh=f"{view.boot_path} 不接受参数 `--{name}`。",
            ),
            _fix_refused(name, meant, accepted),
        )


class ArgumentRequired(RunRule):
    id: ClassVar[str] = "argument-required"
    title = Text(en="The script needs an argument that nothing provides", zh="脚本需要的参数没有提供")
    explanation = Text(
        en="An argument with `required=True`, and a positional one, must be given, or the script ends at once. One "
        "without a default that is used unchecked is a warning.",
        zh="`required=True` 的参数和位置参数必须提供，否则脚本会立即退出。没有默认值又未经检查就使用的参数是警告。",
    )
    failing = (
        _with(EXAMPLE_SPEC, _script("'--data_url', required=True"), 3),
        _with(EXAMPLE_SPEC, _script("'data'"), 3),
        _with(EXAMPLE_SPEC, _script("'--data_url', type=str") + "print(open(args.data_url))\n", 3),
        _with(EXAMPLE_SPEC, "import typer\n\ndef main(data_url: str):\n    pass\n\ntyper.run(main)\n", 3),
        _with(
            EXAMPLE_SPEC,
            "import click\n\n@click.command()\n@click.option('--lr', required=True)\n"
            "def main(lr):\n    pass\n\nmain()\n",
            4,
        ),
        _with(
            EXAMPLE_SPEC,
            "from absl import app, flags\n\nflags.DEFINE_string('data_url', None, '')\n"
            "flags.mark_flag_as_required('data_url')\napp.run(print)\n",
            3,
        ),
    )
    passing = (
        _with(_DATA, _script("'--data_url', required=True")),
        _with(EXAMPLE_SPEC, _script("'--resume', type=str") + "if args.resume:\n    print(args.resume)\n"),
        _with(EXAMPLE_SPEC, _script("'files', nargs='*'")),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        accepted = accepted_arguments(view.scripts)
        if not accepted.decided:
            return
        provided = {id(found) for name, _ in _passed(view) if (found := accepted.find(name)) is not None}
        unchecked: set[str] | None = None
        for argument in accepted.arguments:
            if argument.file != view.boot_path or id(argument) in provided:
                continue
            if argument.required:
                yield self._needed(argument, Severity.ERROR)
            elif accepted.reader == "argparse" and not argument.has_default:
                unchecked = _used_unchecked(view) if unchecked is None else unchecked
                if argument.destination in unchecked:
                    yield self._needed(argument, Severity.WARNING)

    def _needed(self, argument: Argument, severity: Severity) -> Finding:
        name = next((name for name in argument.names if name.startswith("--")), argument.names[0])
        place = Place(argument.file, argument.line, argument.column)
        if argument.is_positional:
            return self.finding(
                place,
                Text(
                    en=f"The script needs the positional argument `{name}`, and a run passes only `--name value`.",
                    zh=f"脚本需要位置参数 `{name}`，而训练只会传递 `--名称 值` 形式的参数。",
                ),
                Text(
                    en=f"Declare it as `--{name}` and name it under `inputs` or `hyperparameters`.",
                    zh=f"请声明为 `--{name}`，并写入 `inputs` 或 `hyperparameters`。",
                ),
                severity,
            )
        plain = name.lstrip("-")
        if severity is Severity.ERROR:
            message = Text(
                en=f"The script requires `{name}`, which nothing provides.", zh=f"脚本要求 `{name}`，但没有提供。"
            )
        else:
            message = Text(
                en=f"`{name}` has no default, nothing provides it, and it is used without a check: it will be None.",
                zh=f"`{name}` 没有默认值，也没有提供，却未经检查就被使用：它的值将是 None。",
            )
        return self.finding(
            place,
            message,
            Text(
                en=f"Name `{plain}` under `inputs` or `hyperparameters`, or give it a default.",
                zh=f"请在 `inputs` 或 `hyperparameters` 中写明 `{plain}`，或为它设置默认值。",
            ),
            severity,
        )


class ArgumentValue(RunRule):
    id: ClassVar[str] = "argument-value"
    title = Text(en="A value that the script's argument does not take", zh="参数值不被脚本接受")
    explanation = Text(
        en="A hyperparameter is passed as `--name value`. A flag (`action='store_true'`) takes no value, `type=int` no "
        "text, and `choices` only what it lists. With `type=bool` every text, also `false`, is true: a warning.",
        zh="超参以 `--名称 值` 传递。开关参数（`action='store_true'`）不接受值，`type=int` 不接受文本，`choices` "
        "只接受列出的值。"
        "`type=bool` 会把任何文本（包括 `false`）当作真：这是警告。",
    )
    failing = (
        _with(EXAMPLE_SPEC + "    hyperparameters: {shuffle: true}\n", _script("'--shuffle', action='store_true'"), 7),
        _with(EXAMPLE_SPEC + "    hyperparameters: {epochs: ten}\n", _script("'--epochs', type=int"), 7),
        _with(EXAMPLE_SPEC + "    hyperparameters: {epochs: 1.5}\n", _script("'--epochs', type=int"), 7),
        _with(
            EXAMPLE_SPEC + "    hyperparameters: {mode: GRPAH}\n", _script("'--mode', choices=['GRAPH', 'PYNATIVE']"), 7
        ),
        _with(EXAMPLE_SPEC + "    hyperparameters: {amp: false}\n", _script("'--amp', type=bool"), 7),
    )
    passing = (
        _with(
            EXAMPLE_SPEC + "    hyperparameters: {lr: 1, epochs: 3, mode: GRAPH, shuffle: true}\n",
            _script(
                "'--lr', type=float",
                "'--epochs', type=int",
                "'--mode', choices=['GRAPH']",
                "'--shuffle', type=str2bool",
            ),
        ),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        accepted = accepted_arguments(view.scripts)
        if not accepted.decided or accepted.reader not in ("argparse", "click", "typer"):
            return
        for name, value in view.spec.hyperparameters.items():
            argument = accepted.find(name)
            if argument is None:
                continue
            values = value if isinstance(value, list) else [value]
            said = next(filter(None, (_misfit(argument, name, one) for one in values)), None)
            if said is not None:
                message, fix, severity = said
                yield self.finding(view.place("hyperparameters", name), message, fix, severity)


def _passed(view: RunView) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The names of the arguments that the run passes, each with where it is declared."""
    for name in view.spec.inputs:
        yield name, ("inputs", name)
    for name in view.spec.hyperparameters:
        yield name, ("hyperparameters", name)
    if view.spec.output:
        yield OUTPUT_ARGUMENT, ("output",)
    if view.spec.aim:
        yield AIM_ARGUMENT, ("aim",)


def _fix_refused(name: str, meant: str | None, accepted: Accepted) -> Text:
    if name in (OUTPUT_ARGUMENT, AIM_ARGUMENT):
        key = "output" if name == OUTPUT_ARGUMENT else "aim"
        return Text(
            en=f"Add `--{name}` to the script's parser, or write `{key}: false`.",
            zh=f"请在脚本的解析器中添加 `--{name}`，或写 `{key}: false`。",
        )
    if meant:
        return Text(
            en=f"Write `{meant}` in the run, or add `--{name}` to the script's parser.",
            zh=f"请在训练描述中改为 `{meant}`，或在脚本的解析器中添加 `--{name}`。",
        )
    how = f"parser.add_argument('--{name}')" if accepted.reader == "argparse" else f"--{name}"
    return Text(
        en=f"Add it to the script ({how}), or remove it from the run.",
        zh=f"请在脚本中添加（{how}），或从训练描述中删除。",
    )


def _misfit(argument: Argument, name: str, value: object) -> tuple[Text, Text, Severity] | None:
    if argument.is_flag:
        return (
            Text(
                en=f"`--{name}` is a flag: it takes no value, and the run passes `--{name} {_shown(value)}`.",
                zh=f"`--{name}` 是开关参数，不接受值，而训练会传递 `--{name} {_shown(value)}`。",
            ),
            Text(
                en="Let the script take a value, such as `type=lambda text: text == 'true'`, or leave it out of the "
                "run.",
                zh="请让脚本接受值，例如 `type=lambda text: text == 'true'`，或从训练描述中去掉它。",
            ),
            Severity.ERROR,
        )
    if argument.type_name in ("int", "float") and not _is_number(value, whole=argument.type_name == "int"):
        kind_en, kind_zh = ("a whole number", "整数") if argument.type_name == "int" else ("a number", "数字")
        return (
            Text(
                en=f"The script reads `--{name}` as {kind_en}, and `{_shown(value)}` is none.",
                zh=f"脚本将 `--{name}` 读作{kind_zh}，而 `{_shown(value)}` 不是。",
            ),
            Text(en=f"Write {kind_en}.", zh=f"请填写{kind_zh}。"),
            Severity.ERROR,
        )
    if argument.choices is not None and argument.type_name in ("", "str", "int"):
        allowed = [str(choice) for choice in argument.choices]
        if _shown(value) not in allowed:
            meant = nearest(_shown(value), allowed)
            listed = ", ".join(allowed)[:200]
            return (
                Text(
                    en=f"`--{name}` takes one of: {listed}; not `{_shown(value)}`.",
                    zh=f"`--{name}` 只接受：{listed}；不接受 `{_shown(value)}`。",
                ),
                Text(en=f"Write `{meant}`.", zh=f"请改为 `{meant}`。")
                if meant
                else Text(en="Write one of these.", zh="请填写其中之一。"),
                Severity.ERROR,
            )
    if argument.type_name == "bool" and value is False:
        return (
            Text(
                en=f"`type=bool` makes `--{name} false` true: every text that is not empty is.",
                zh=f"`type=bool` 会把 `--{name} false` 当作真：任何非空文本都是真。",
            ),
            Text(
                en="Let the script write `type=lambda text: text == 'true'`.",
                zh="请在脚本中改为 `type=lambda text: text == 'true'`。",
            ),
            Severity.WARNING,
        )
    return None


def _shown(value: object) -> str:
    """As the script sees it."""
    return str(value).lower() if isinstance(value, bool) else str(value)[:80]


def _is_number(value: object, *, whole: bool) -> bool:
    try:
        _ = int(_shown(value)) if whole else float(_shown(value))
    except ValueError:
        return False
    return True


def _used_unchecked(view: RunView) -> set[str]:
    """Attributes that are read in the boot file and never looked at in a condition anywhere."""
    used: set[str] = set()
    checked: set[str] = set()
    for script in view.scripts:
        for node in script.nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                used.add(node.attr)
            test = _condition(node)
            if test is not None:
                checked.update(inner.attr for inner in ast.walk(test) if isinstance(inner, ast.Attribute))
            elif isinstance(node, ast.Attribute):
                checked.update(() if isinstance(node.ctx, ast.Load) else (node.attr,))
    return used - checked


def _condition(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
        return node.test
    return node if isinstance(node, ast.BoolOp | ast.Compare) else None
