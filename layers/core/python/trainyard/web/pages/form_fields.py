"""The form 创建训练实例 in a browser's words: what was filled in, what it asks for, and which field is at fault."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from trainyard.intake.form import read_form
from trainyard.intake.submissions import SubmitRun
from trainyard.model.finding import Finding
from trainyard.model.run import Run
from trainyard.model.spec import Input, RunSpec, format_duration
from trainyard.model.text import Text

SIMPLE = (
    "name", "description", "ref", "commit", "code_dir", "boot_file", "framework", "image", "flavor", "hyperparameters",
    "env", "evaluation", "timeout", "retries", "machines", "nodes", "processes", "priority",
)  # fmt: skip
SWITCHES = ("output", "aim")
MOST_INPUTS = 50
KINDS = ("dataset", "model", "run", "s3")
_INPUT = re.compile(r"input\.(\d{1,2})\.(argument|kind|source|path|revision)")
# `accuracy >= 0.9`, as trainyard.yaml says it in two parts.
_REQUIREMENT = re.compile(r"\s*([^\s<>=]+)\s*([<>=].*)")
_ROW_MISSES_NAME = Text(
    en="Say which argument of the script gets it, such as data_url.", zh="请填写接收它的脚本参数名，例如 data_url。"
)


@dataclass(frozen=True)
class InputRow:
    argument: str = ""
    kind: str = "dataset"
    source: str = ""
    path: str = ""
    revision: str = ""
    """Of a run that is a sweep: the number of the training."""


_TUTORIAL_ROWS = (InputRow("pretrain_url", "model"), InputRow("data_url", "dataset"))


@dataclass(frozen=True)
class Filled:
    """A form as it is filled in. `values` has every field of `SIMPLE`; `switches` those that are ticked."""

    values: dict[str, str] = field(default_factory=lambda: dict.fromkeys(SIMPLE, ""))
    switches: frozenset[str] = frozenset({"output"})
    inputs: tuple[InputRow, ...] = _TUTORIAL_ROWS

    @classmethod
    def of_fields(cls, pairs: Iterable[tuple[str, str]]) -> Filled:
        """As a browser sends it. Names that are none of ours are left out."""
        values, switches = dict.fromkeys(SIMPLE, ""), set()
        rows: dict[int, dict[str, str]] = {}
        for name, value in pairs:
            found = _INPUT.fullmatch(name)
            if found:
                rows.setdefault(int(found[1]), {})[found[2]] = value.strip()
            elif name in values:
                # A browser ends lines with \r\n.
                values[name] = value.replace("\r\n", "\n").strip()
            elif name in SWITCHES and value == "on":
                switches.add(name)
        inputs = [InputRow(**rows[number]) for number in sorted(rows)][:MOST_INPUTS]
        known = [row if row.kind in KINDS else replace(row, kind="dataset") for row in inputs]
        return cls(values, frozenset(switches), tuple(known))

    @classmethod
    def of_run(cls, run: Run) -> Filled:
        """The settings of a former run, to be changed and run again on the newest commit of its branch."""
        spec = run.spec
        if spec is None:
            return cls()
        switches = {name for name, on in (("output", spec.output), ("aim", spec.aim)) if on}
        rows = [_row(argument, source) for argument, source in spec.inputs.items()]
        missing = [row for row in _TUTORIAL_ROWS if row.argument not in spec.inputs]
        return cls({**dict.fromkeys(SIMPLE, ""), **_values(run, spec)}, frozenset(switches), (*rows, *missing))

    def with_another_input(self) -> Filled:
        return replace(self, inputs=(*self.inputs, InputRow())[:MOST_INPUTS])

    def fields(self) -> list[tuple[str, str]]:
        """The pairs that `of_fields` reads back."""
        pairs = [(name, value) for name, value in self.values.items() if value]
        pairs += [(name, "on") for name in SWITCHES if name in self.switches]
        for number, row in enumerate(self.inputs):
            pairs += [(f"input.{number}.{part}", value) for part, value in vars(row).items()]
        return pairs

    def request(self) -> SubmitRun:
        """What it asks for. InvalidInput with every wrong field, as `read_form` names them."""
        # A list to choose from always has a choice, so the image that was filled in beside it is the one that is meant.
        left_out = ("evaluation", "framework" if self.values["image"] else "image")
        pairs = [(name, self.values[name]) for name in SIMPLE if name not in left_out]
        pairs += [(name, "on" if name in self.switches else "off") for name in SWITCHES]
        pairs += [_requirement(line) for line in self.values["evaluation"].splitlines() if line.strip()]
        for row in self.inputs:
            if row.source and row.argument:
                place = f"inputs.{row.argument}"
                pairs += [(f"{place}.{row.kind}", row.source), (f"{place}.path", row.path)]
                pairs += [(f"{place}.{'child' if row.kind == 'run' else 'revision'}", row.revision)]
        return read_form(urlencode(pairs).encode())

    def incomplete_inputs(self) -> dict[str, Text]:
        return {
            f"input.{number}": _ROW_MISSES_NAME
            for number, row in enumerate(self.inputs)
            if row.source and not row.argument
        }

    def place_of(self, path: str) -> str:
        """The field of the page that a dotted path of the run's description belongs to; empty: none in particular."""
        parts = path.removeprefix("spec.").split(".")
        if parts[0] == "inputs" and len(parts) > 1:
            arguments = [row.argument for row in self.inputs]
            return f"input.{arguments.index(parts[1])}" if parts[1] in arguments else ""
        return parts[0] if parts[0] in (*SIMPLE, *SWITCHES) else ""

    def place_of_finding(self, finding: Finding) -> str:
        """Beside which field a finding of validation stands."""
        if finding.field:
            return self.place_of(finding.field)
        if finding.file.endswith((".py", "requirements.txt")):
            return "boot_file"
        # What is wrong with other files is a matter of the commit that was chosen.
        return "ref"


def _values(run: Run, spec: RunSpec) -> dict[str, str]:
    document = spec.model_dump(mode="json")
    return {
        "name": run.name,
        "description": spec.description,
        "ref": (run.ref or "").removeprefix("refs/heads/").removeprefix("refs/tags/"),
        "code_dir": spec.code_dir,
        "boot_file": spec.boot_file,
        "framework": spec.framework,
        "image": spec.image,
        "flavor": spec.flavor,
        "hyperparameters": _lines(document["hyperparameters"]),
        "env": _lines(spec.env),
        "evaluation": "\n".join(f"{name} {required}" for name, required in spec.evaluation.require.items()),
        "timeout": format_duration(spec.timeout),
        "retries": str(spec.retries),
        "machines": spec.machines.value,
        "nodes": str(spec.nodes),
        "processes": str(spec.processes),
        "priority": spec.priority.value,
    }


def _lines(pairs: Mapping[str, object]) -> str:
    return "\n".join(f"{name}={_scalar(value)}" for name, value in pairs.items())


def _scalar(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _row(argument: str, source: Input) -> InputRow:
    kind = next(kind for kind in KINDS if getattr(source, kind) is not None)
    exact = source.revision or "" if source.child is None else str(source.child)
    return InputRow(argument, kind, getattr(source, kind), source.path, exact)


def _requirement(line: str) -> tuple[str, str]:
    found = _REQUIREMENT.fullmatch(line)
    return (f"evaluation.{found[1]}", found[2].strip()) if found else ("evaluation", line)
