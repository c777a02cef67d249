"""Which arguments a script accepts, read off its code: argparse, click, typer, absl, fire and HfArgumentParser.

What cannot be decided by reading is said to be so, and then nothing is reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from trainyard.validation.script import Script, constant, dotted_name, keyword

# Modules that read the command line in ways that are not followed here.
_OTHER_READERS = {
    "docopt", "tap", "simple_parsing", "jsonargparse", "hydra", "mmengine", "mmcv", "configargparse", "tyro", "plac",
    "optparse", "getopt", "pydantic_settings", "cyclopts", "gin", "ml_collections", "clize", "defopt", "datargs",
    "pyrallis", "draccus", "chz", "argh", "cleo", "begin", "sacred", "lightning_cli", "yacs", "fvcore", "detectron2",
    "paddle_bootstrap", "mindformers", "ultralytics",
}  # fmt: skip
_FLAG_ACTIONS = {"store_true", "store_false", "store_const", "append_const", "count", "help", "version"}


@dataclass(frozen=True)
class Argument:
    """One argument that a script declares."""

    names: tuple[str, ...]
    """As they are written: `--data_url`, `-d`; a positional one without dashes."""
    file: str
    line: int
    column: int
    required: bool = False
    is_flag: bool = False
    """It takes no value, so that `--name true` is refused."""
    type_name: str = ""
    choices: tuple[object, ...] | None = None
    has_default: bool = True
    destination: str = ""

    @property
    def is_positional(self) -> bool:
        return not self.names[0].startswith("-")


@dataclass
class Accepted:
    """What the script accepts. Where `decided` is false, something else may be accepted as well."""

    arguments: list[Argument] = field(default_factory=list)
    decided: bool = True
    exists: bool = False
    """Whether the command line is read at all, as far as can be seen."""
    abbreviations: bool = True
    """argparse takes a unique beginning of a name for the name."""
    reader: str = "argparse"
    dashes_are_underscores: bool = False

    def find(self, name: str) -> Argument | None:
        """The argument that `--name VALUE` reaches."""
        wanted = f"--{name}"
        for argument in self.arguments:
            if wanted in argument.names:
                return argument
        if self.dashes_are_underscores:
            plain = wanted.replace("-", "_")
            return next(
                (one for one in self.arguments if plain in (known.replace("-", "_") for known in one.names)), None
            )
        if self.abbreviations and self.reader == "argparse":
            longer = [one for one in self.arguments if any(known.startswith(wanted) for known in one.names)]
            return longer[0] if len(longer) == 1 else None
        return None


def accepted_arguments(scripts: Iterable[Script]) -> Accepted:
    """The arguments of the boot file (the first script) with what its own modules declare for it."""
    scripts = list(scripts)
    if not scripts or any(script.tree is None for script in scripts):
        return Accepted(decided=False)
    accepted = Accepted()
    for script in scripts:
        if script is not scripts[0] and script.has_main_guard and _declares(script):
            accepted.decided = False  # a script of its own: its parser may never be asked
            continue
        _read(script, accepted)
    if not accepted.exists:
        accepted.decided = False
    return accepted


def _declares(script: Script) -> bool:
    return any(dotted_name(call.func).rpartition(".")[2] == "add_argument" for call in script.calls)


def _read(script: Script, accepted: Accepted) -> None:
    readers = [_read_argparse, _read_click, _read_typer, _read_absl, _read_fire, _read_dataclasses]
    if _uses_other_readers(script):
        accepted.decided = False
    for reader in readers:
        reader(script, accepted)


def _uses_other_readers(script: Script) -> bool:
    for node in script.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "argv" and dotted_name(node) == "sys.argv":
            return True
        if isinstance(node, ast.Import) and any(alias.name.partition(".")[0] in _OTHER_READERS for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in _OTHER_READERS and node.level == 0:
                return True
            if node.module == "sys" and any(alias.name == "argv" for alias in node.names):
                return True
            if any(alias.name in ("LightningCLI", "CLI") for alias in node.names):
                return True
    return False


# argparse


def _read_argparse(script: Script, accepted: Accepted) -> None:
    parsers = _parser_names(script)
    own_functions = {node.name for node in script.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for call in script.calls:
        called = dotted_name(call.func)
        last = call.func.attr if isinstance(call.func, ast.Attribute) else called
        match last:
            case "ArgumentParser":
                _note_parser(call, accepted)
            case "add_argument" if isinstance(call.func, ast.Attribute):
                argument = _argparse_argument(script, call)
                if argument is None:
                    accepted.decided = False
                else:
                    accepted.arguments.append(argument)
            case "parse_args":
                accepted.exists = True
                given = call.args[0] if call.args else keyword(call, "args")
                if isinstance(given, ast.List | ast.Tuple | ast.Call | ast.BinOp):
                    accepted.decided = False  # it parses words of its own, as notebooks do
            case "parse_known_args" | "parse_intermixed_args" | "parse_known_intermixed_args" | "add_subparsers":
                accepted.exists = True
                accepted.decided = False
            case _:
                handed_on = any(isinstance(value, ast.Name) and value.id in parsers for value in _values(call))
                if handed_on and called not in own_functions:
                    accepted.decided = False  # somebody else may add arguments
    if _has_parser_subclass(script):
        accepted.decided = False


def _note_parser(call: ast.Call, accepted: Accepted) -> None:
    unusual = ("prefix_chars", "fromfile_prefix_chars", "conflict_handler", "argument_default", "exit_on_error")
    if any(keyword(call, name) is not None for name in unusual) or any(word.arg is None for word in call.keywords):
        accepted.decided = False
    if constant(keyword(call, "allow_abbrev")) is False:
        accepted.abbreviations = False
    parents = keyword(call, "parents")
    if parents is not None and not (
        isinstance(parents, ast.List) and all(isinstance(parent, ast.Name) for parent in parents.elts)
    ):
        accepted.decided = False


def _parser_names(script: Script) -> set[str]:
    names: set[str] = set()
    for node in script.nodes:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
            continue
        if dotted_name(node.value.func).rpartition(".")[2] in ("ArgumentParser", "add_argument_group"):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names


def _has_parser_subclass(script: Script) -> bool:
    return any(
        isinstance(node, ast.ClassDef)
        and any(dotted_name(base).rpartition(".")[2] in ("ArgumentParser", "Action") for base in node.bases)
        for node in script.nodes
    )


def _values(call: ast.Call) -> Iterator[ast.expr]:
    yield from call.args
    yield from (word.value for word in call.keywords)


def _argparse_argument(script: Script, call: ast.Call) -> Argument | None:
    """None where its names or options are computed."""
    names = [constant(value) for value in call.args]
    if not names or not all(isinstance(name, str) and name for name in names):
        return None
    if any(word.arg is None for word in call.keywords):
        return None
    words = tuple(str(name) for name in names)
    action = keyword(call, "action")
    action_name = constant(action)
    optional_boolean = action is not None and dotted_name(action).rpartition(".")[2] == "BooleanOptionalAction"
    if action is not None and action_name is None and not optional_boolean:
        return Argument(words, script.path, call.lineno, call.col_offset + 1)
    nargs = constant(keyword(call, "nargs"))
    positional = not words[0].startswith("-")
    required = constant(keyword(call, "required")) is True or (positional and nargs not in ("?", "*", "..."))
    type_given = keyword(call, "type")
    choices = keyword(call, "choices")
    default = keyword(call, "default")
    destination = constant(keyword(call, "dest"))
    longest = next((name for name in words if name.startswith("--")), words[0])
    return Argument(
        (*words, *(f"--no-{name[2:]}" for name in words if optional_boolean and name.startswith("--"))),
        script.path,
        call.lineno,
        call.col_offset + 1,
        required=required,
        is_flag=action_name in _FLAG_ACTIONS or optional_boolean,
        type_name=dotted_name(type_given) if type_given is not None else "",
        choices=_literal_choices(choices),
        has_default=(default is not None and not (isinstance(default, ast.Constant) and default.value is None))
        or action_name in _FLAG_ACTIONS
        or nargs in ("?", "*"),
        destination=destination if isinstance(destination, str) else longest.lstrip("-").replace("-", "_"),
    )


def _literal_choices(node: ast.expr | None) -> tuple[object, ...] | None:
    if not isinstance(node, ast.List | ast.Tuple | ast.Set):
        return None
    if not all(isinstance(item, ast.Constant) for item in node.elts):
        return None
    return tuple(constant(item) for item in node.elts)


# click


def _read_click(script: Script, accepted: Accepted) -> None:
    if not _imports_module(script, "click"):
        return
    for call in script.calls:
        called = dotted_name(call.func)
        last = called.rpartition(".")[2]
        if called in ("click.option", "option"):
            accepted.exists, accepted.reader, accepted.abbreviations = True, "click", False
            names = [constant(value) for value in call.args]
            if not names or not all(isinstance(name, str) for name in names):
                accepted.decided = False
                continue
            options = tuple(part for name in names for part in str(name).split("/") if part.startswith("-"))
            if not options:
                accepted.decided = False
                continue
            flag = constant(keyword(call, "is_flag")) is True or any("/" in str(name) for name in names)
            accepted.arguments.append(
                Argument(
                    options,
                    script.path,
                    call.lineno,
                    call.col_offset + 1,
                    required=constant(keyword(call, "required")) is True and keyword(call, "default") is None,
                    is_flag=flag or constant(keyword(call, "count")) is True,
                )
            )
        elif (
            called in ("click.argument", "click.group")
            or last in ("group", "add_command", "pass_context")
            or (
                last == "command"
                and (keyword(call, "context_settings") is not None or keyword(call, "cls") is not None)
            )
        ):
            accepted.decided = False
    if any(isinstance(node, ast.Attribute) and node.attr == "group" for node in script.nodes):
        accepted.decided = False


# typer


def _read_typer(script: Script, accepted: Accepted) -> None:
    if not _imports_module(script, "typer"):
        return
    run = next((call for call in script.calls if dotted_name(call.func) == "typer.run"), None)
    function: ast.FunctionDef | None = None
    if run is not None and run.args and isinstance(run.args[0], ast.Name):
        function = _function(script, run.args[0].id)
    commands = [node for node in script.nodes if isinstance(node, ast.FunctionDef) and _is_typer_command(node)]
    if function is None and len(commands) == 1:
        function = commands[0]
    accepted.exists, accepted.reader, accepted.abbreviations = True, "typer", False
    if function is None or len(commands) > 1 or function.args.kwarg or function.args.vararg:
        accepted.decided = False
        return
    for parameter, default in _parameters(function):
        names = _typer_names(parameter, default)
        if names is None:
            accepted.decided = False
        else:
            accepted.arguments.append(
                Argument(
                    names, script.path, parameter.lineno, parameter.col_offset + 1, has_default=default is not None
                )
            )


def _is_typer_command(node: ast.FunctionDef) -> bool:
    return any(
        isinstance(decorator, ast.Call) and dotted_name(decorator.func).endswith((".command", ".callback"))
        for decorator in node.decorator_list
    )


def _typer_names(parameter: ast.arg, default: ast.expr | None) -> tuple[str, ...] | None:
    """None where it is no plain option."""
    made = f"--{parameter.arg.replace('_', '-')}"
    about: list[ast.Call] = [default] if isinstance(default, ast.Call) else []
    annotation = parameter.annotation
    if annotation is not None:
        about += [node for node in ast.walk(annotation) if isinstance(node, ast.Call)]
    for call in about:
        last = dotted_name(call.func).rpartition(".")[2]
        if last == "Option":
            named = [value for value in map(constant, call.args) if isinstance(value, str) and value.startswith("-")]
            return tuple(part for name in named for part in str(name).split("/")) or (made,)
        return None
    if default is None:
        return None  # a positional argument
    is_flag = annotation is not None and dotted_name(annotation) == "bool"
    return None if is_flag else (made,)


# absl


_ABSL = {"string", "integer", "float", "enum", "list", "multi_string", "multi_integer", "multi_float", "spaceseplist"}


def _read_absl(script: Script, accepted: Accepted) -> None:
    if not _imports_module(script, "absl"):
        return
    for call in script.calls:
        last = dotted_name(call.func).rpartition(".")[2]
        if not last.startswith("DEFINE_"):
            if last in ("mark_flag_as_required", "mark_flags_as_required"):
                continue
            continue
        accepted.exists, accepted.reader, accepted.abbreviations = True, "absl", True
        name = constant(call.args[0]) if call.args else None
        if not isinstance(name, str):
            accepted.decided = False
            continue
        if last.removeprefix("DEFINE_") not in _ABSL | {"bool", "boolean"}:
            accepted.decided = accepted.decided and last not in ("DEFINE_config_file", "DEFINE_config_dict")
        accepted.arguments.append(Argument((f"--{name}",), script.path, call.lineno, call.col_offset + 1))


# fire


def _read_fire(script: Script, accepted: Accepted) -> None:
    call = next((call for call in script.calls if dotted_name(call.func) in ("fire.Fire", "Fire")), None)
    if call is None:
        return
    accepted.exists, accepted.reader, accepted.abbreviations = True, "fire", False
    accepted.dashes_are_underscores = True
    function = _function(script, call.args[0].id) if call.args and isinstance(call.args[0], ast.Name) else None
    if function is None or function.args.kwarg or function.args.vararg or len(call.args) + len(call.keywords) > 1:
        accepted.decided = False
        return
    for parameter, default in _parameters(function):
        accepted.arguments.append(
            Argument(
                (f"--{parameter.arg}",),
                script.path,
                parameter.lineno,
                parameter.col_offset + 1,
                required=default is None,
            )
        )


# HfArgumentParser


def _read_dataclasses(script: Script, accepted: Accepted) -> None:
    call = next((call for call in script.calls if dotted_name(call.func).endswith("HfArgumentParser")), None)
    if call is None:
        return
    accepted.exists, accepted.reader = True, "HfArgumentParser"
    accepted.dashes_are_underscores = True
    given = call.args[0] if call.args else None
    classes = given.elts if isinstance(given, ast.Tuple | ast.List) else [given] if given is not None else []
    known = {node.name: node for node in script.nodes if isinstance(node, ast.ClassDef)}
    for one in classes:
        declared = known.get(one.id) if isinstance(one, ast.Name) else None
        if declared is None or declared.bases:
            accepted.decided = False  # TrainingArguments and the like have a hundred more
            continue
        for statement in declared.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                accepted.arguments.append(
                    Argument(
                        (f"--{statement.target.id}",),
                        script.path,
                        statement.lineno,
                        statement.col_offset + 1,
                        required=statement.value is None,
                    )
                )
    if not classes:
        accepted.decided = False


def _imports_module(script: Script, module: str) -> bool:
    for node in script.nodes:
        if isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == module for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == module:
            return True
    return False


def _function(script: Script, name: str) -> ast.FunctionDef | None:
    return next((node for node in script.nodes if isinstance(node, ast.FunctionDef) and node.name == name), None)


def _parameters(function: ast.FunctionDef) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    arguments = [*function.args.posonlyargs, *function.args.args]
    missing = len(arguments) - len(function.args.defaults)
    defaults: list[ast.expr | None] = [*([None] * missing), *function.args.defaults]
    yield from zip(arguments, defaults, strict=True)
    yield from zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
