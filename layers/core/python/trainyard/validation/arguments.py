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
    "paddle_bootstrap", "mindformers", "ultralytics", "omegaconf", "rich_click", "trl", "llamafactory", "invoke",
    "spock", "aiconfig", "typed_settings", "mmdet", "mmseg", "paddlenlp", "swift",
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
    makes_parser: bool = False
    """Whether an argparse parser is seen being made; another's may accept anything."""

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
    followed = {part for script in scripts for part in script.path.removesuffix(".py").split("/")}
    for script in scripts:
        if script is not scripts[0] and script.has_main_guard and _declares(script):
            accepted.decided = False  # a script of its own: its parser may never be asked
            continue
        _read(script, accepted)
        if _parser_from_elsewhere(script, followed):
            accepted.decided = False
    if not accepted.exists or (accepted.reader == "argparse" and not accepted.makes_parser):
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
        if isinstance(node, ast.Import) and any(alias.name.partition(".")[0] in _OTHER_READERS for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom):
            if (node.module or "").partition(".")[0] in _OTHER_READERS and node.level == 0:
                return True
            if node.module == "sys" and any(alias.name == "argv" for alias in node.names):
                return True
            if any(alias.name in ("LightningCLI", "CLI") for alias in node.names):
                return True
    return _changes_words(script)


def _changes_words(script: Script) -> bool:
    """Whether the script may change `sys.argv`, so that its parser sees something else than what was passed."""
    for node in script.nodes:
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            target = node.value if isinstance(node, ast.Subscript) else node
            if dotted_name(target) == "sys.argv":
                return True
        if isinstance(node, ast.Call) and dotted_name(node.func).startswith("sys.argv."):
            return True
    return False


def _parser_from_elsewhere(script: Script, followed: set[str]) -> bool:
    """Whether `parse_args` is called on what a module brings that was not read."""
    brought: set[str] = set()
    for node in script.nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2] not in {*followed, "argparse"}:
            brought.update(alias.asname or alias.name for alias in node.names if alias.name not in followed)
        elif isinstance(node, ast.Import):
            names = [alias for alias in node.names if alias.name.rpartition(".")[2] not in {*followed, "argparse"}]
            brought.update((alias.asname or alias.name).partition(".")[0] for alias in names)
    makers = {
        target.id: node.value.func
        for node in script.nodes
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in script.calls:
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "parse_args":
            continue
        made = call.func.value.func if isinstance(call.func.value, ast.Call) else call.func.value
        if isinstance(made, ast.Name) and made.id in makers:
            made = makers[made.id]
        if dotted_name(made).partition(".")[0] in brought:
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
                if not _is_whole_command_line(script, given):
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


def _is_whole_command_line(script: Script, given: ast.expr | None) -> bool:
    """Whether `parse_args(given)` reads what the run passes: nothing, `sys.argv[1:]`, or a function's own parameter."""
    if given is None or (isinstance(given, ast.Constant) and given.value is None):
        return True
    if not isinstance(given, ast.Name):
        return _is_rest_of_argv(given)
    parameters = {
        argument.arg
        for node in script.nodes
        if isinstance(node, ast.FunctionDef)
        for argument in (*node.args.args, *node.args.kwonlyargs)
    }
    uses = sum(dotted_name(node) == "sys.argv" for node in script.nodes if isinstance(node, ast.Attribute))
    return given.id in parameters and uses == sum(map(_is_rest_of_argv, script.nodes))


def _is_rest_of_argv(node: ast.AST) -> bool:
    if not isinstance(node, ast.Subscript) or dotted_name(node.value) != "sys.argv":
        return False
    part = node.slice
    return isinstance(part, ast.Slice) and constant(part.lower) == 1 and part.upper is None and part.step is None


def _note_parser(call: ast.Call, accepted: Accepted) -> None:
    accepted.makes_parser = True
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
    own = _names_from(script, "click")
    for call in script.calls:
        called = dotted_name(call.func)
        last = called.rpartition(".")[2]
        if called == "click.option" or (called == "option" and "option" in own):
            accepted.exists, accepted.reader, accepted.abbreviations = True, "click", False
            _add_or_give_up(accepted, _click_option(script, call))
        elif called == "click.argument" or (called == "argument" and "argument" in own):
            _add_or_give_up(accepted, _click_argument(script, call))
        elif last in ("group", "add_command") or (
            last == "command" and (keyword(call, "context_settings") is not None or keyword(call, "cls") is not None)
        ):
            accepted.decided = False
    if any(isinstance(node, ast.Attribute) and node.attr == "group" for node in script.nodes):
        accepted.decided = False
    if any(_has_foreign_decorator(node, own) for node in script.nodes if isinstance(node, ast.FunctionDef)):
        accepted.decided = False


def _add_or_give_up(accepted: Accepted, argument: Argument | None) -> None:
    if argument is None:
        accepted.decided = False
    else:
        accepted.arguments.append(argument)


def _click_option(script: Script, call: ast.Call) -> Argument | None:
    names = [constant(value) for value in call.args]
    if not names or not all(isinstance(name, str) for name in names) or any(word.arg is None for word in call.keywords):
        return None
    options = tuple(part.strip() for name in names for part in str(name).split("/") if part.strip().startswith("-"))
    if not options:
        return None
    flag = constant(keyword(call, "is_flag")) is True or any("/" in str(name) for name in names)
    return Argument(
        options,
        script.path,
        call.lineno,
        call.col_offset + 1,
        required=constant(keyword(call, "required")) is True and not _has_fallback(call),
        is_flag=flag or constant(keyword(call, "count")) is True,
        type_name={"click.INT": "int", "click.FLOAT": "float"}.get(_type_name(call), _type_name(call)),
        choices=_click_choices(keyword(call, "type")),
    )


def _click_argument(script: Script, call: ast.Call) -> Argument | None:
    name = constant(call.args[0]) if call.args else None
    if not isinstance(name, str):
        return None
    optional = constant(keyword(call, "required")) is False or constant(keyword(call, "nargs")) == -1
    required = not (optional or _has_fallback(call))
    return Argument((name,), script.path, call.lineno, call.col_offset + 1, required=required)


def _has_fallback(call: ast.Call) -> bool:
    return keyword(call, "default") is not None or keyword(call, "envvar") is not None


def _type_name(call: ast.Call) -> str:
    given = keyword(call, "type")
    return dotted_name(given) if given is not None else ""


def _click_choices(node: ast.expr | None) -> tuple[object, ...] | None:
    if not isinstance(node, ast.Call) or dotted_name(node.func) not in ("click.Choice", "Choice") or node.keywords:
        return None
    return _literal_choices(node.args[0]) if node.args else None


def _has_foreign_decorator(node: ast.FunctionDef, own: set[str]) -> bool:
    """Whether a command has a decorator that is not click's, and may add options of its own."""
    names = [dotted_name(each.func if isinstance(each, ast.Call) else each) for each in node.decorator_list]
    clicks = [name.startswith("click.") or name in own for name in names]
    return any(clicks) and not all(clicks)


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
        _add_or_give_up(accepted, _typer_argument(script, parameter, default))


def _is_typer_command(node: ast.FunctionDef) -> bool:
    return any(
        isinstance(decorator, ast.Call) and dotted_name(decorator.func).endswith((".command", ".callback"))
        for decorator in node.decorator_list
    )


def _typer_argument(script: Script, parameter: ast.arg, default: ast.expr | None) -> Argument | None:
    """None where it cannot be told what the parameter becomes."""
    annotation = parameter.annotation
    kind = dotted_name(annotation) if annotation is not None else ""
    if kind.endswith(("Context", "CallbackParam")):
        return None
    parts = _annotated_parts(annotation)
    calls = [each for each in (default, *parts) if isinstance(each, ast.Call)]
    about = next((call for call in calls if dotted_name(call.func).endswith(("Option", "Argument"))), None)
    is_flag = (dotted_name(parts[0]) if parts else kind) == "bool"
    what = dotted_name(about.func).rpartition(".")[2] if about is not None else ""
    written = default
    if about is not None and about is default:
        written = about.args[0] if about.args else keyword(about, "default")
    required = written is None or (isinstance(written, ast.Constant) and written.value is ...)
    if about is not None and (keyword(about, "envvar") is not None or keyword(about, "default_factory") is not None):
        required = False
    place = script.path, parameter.lineno, parameter.col_offset + 1
    if what == "Argument" or (not what and required):
        return Argument((parameter.arg,), *place, required=required)
    named = [value for value in map(constant, about.args if about else ()) if isinstance(value, str)]
    options = tuple(part for name in named if name.startswith("-") for part in name.split("/"))
    made = f"--{parameter.arg.replace('_', '-')}"
    names = options or ((made, f"--no-{made[2:]}") if is_flag else (made,))
    return Argument(names, *place, required=required, is_flag=is_flag)


def _annotated_parts(annotation: ast.expr | None) -> list[ast.expr]:
    """`[str, typer.Option(...)]` of `Annotated[str, typer.Option(...)]`; empty for any other annotation."""
    if not isinstance(annotation, ast.Subscript) or not isinstance(annotation.slice, ast.Tuple):
        return []
    return annotation.slice.elts if dotted_name(annotation.value).rpartition(".")[2] == "Annotated" else []


# absl


_ABSL = {"string", "integer", "float", "enum", "list", "multi_string", "multi_integer", "multi_float", "spaceseplist"}


# What absl itself defines.
_ABSL_OWN = (
    "v", "verbosity", "logger_levels", "stderrthreshold", "log_dir", "logtostderr", "alsologtostderr", "flagfile",
    "undefok", "profile_file", "pdb_post_mortem", "run_with_pdb", "run_with_profiling", "only_check_args",
)  # fmt: skip


def _read_absl(script: Script, accepted: Accepted) -> None:
    if not _imports_module(script, "absl"):
        return
    needed = _marked_as_required(script)
    for call in script.calls:
        last = dotted_name(call.func).rpartition(".")[2]
        if last.startswith("define_"):
            accepted.decided = False  # a library that defines flags of its own
        if not last.startswith("DEFINE_"):
            continue
        if not accepted.exists:
            accepted.arguments += [Argument((f"--{name}",), script.path, 1, 1) for name in _ABSL_OWN]
        accepted.exists, accepted.reader, accepted.abbreviations = True, "absl", True
        name = constant(call.args[0]) if call.args else keyword(call, "name")
        if not isinstance(name, str):
            accepted.decided = False
            continue
        if last.removeprefix("DEFINE_") not in _ABSL | {"bool", "boolean"}:
            accepted.decided = accepted.decided and last not in ("DEFINE_config_file", "DEFINE_config_dict")
        required = name in needed or constant(keyword(call, "required")) is True
        accepted.arguments.append(
            Argument((f"--{name}",), script.path, call.lineno, call.col_offset + 1, required=required)
        )


def _marked_as_required(script: Script) -> set[str]:
    names: set[str] = set()
    for call in script.calls:
        if dotted_name(call.func).rpartition(".")[2] in ("mark_flag_as_required", "mark_flags_as_required"):
            given = call.args[0] if call.args else None
            each = given.elts if isinstance(given, ast.List | ast.Tuple) else [given]
            names.update(name for name in map(constant, each) if isinstance(name, str))
    return names


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


def _names_from(script: Script, module: str) -> set[str]:
    """Names that the script takes out of the module."""
    return {
        alias.asname or alias.name
        for node in script.nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == module
        for alias in node.names
    }


def _function(script: Script, name: str) -> ast.FunctionDef | None:
    return next((node for node in script.nodes if isinstance(node, ast.FunctionDef) and node.name == name), None)


def _parameters(function: ast.FunctionDef) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    arguments = [*function.args.posonlyargs, *function.args.args]
    missing = len(arguments) - len(function.args.defaults)
    defaults: list[ast.expr | None] = [*([None] * missing), *function.args.defaults]
    yield from zip(arguments, defaults, strict=True)
    yield from zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
