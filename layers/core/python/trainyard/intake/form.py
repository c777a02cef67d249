"""The tutorial's form 创建训练实例, as a browser or `curl --data-urlencode` sends it.

A field is named as in trainyard.yaml, as the tutorial's script calls it, or by its label in either language:

    name=lenet5-finetune                     训练名称
    ref=main  commit=...                     分支 / 提交
    code_dir=train/trainDir                  代码目录
    boot_file=train.py                       启动文件
    framework=mindspore-cpu                  框架版本   (a name or a version of the catalogue)
    image=ghcr.io/team/train:v1              镜像       (of one's own, in place of a framework)
    flavor=cpu                               计算资源   (a name or a title of the catalogue)
    inputs.data_url.dataset=demo/digits      输入数据集.data_url=demo/digits
    inputs.data_url.revision=v1              inputs.data_url.path=train
    pretrain_url=demo/lenet5/lenet.ckpt      (a model; data_url is a data set; `@REVISION` may follow; or run-ID/PATH)
    hyperparameters.epochs=3                 超参.epochs=3
    env.OMP_NUM_THREADS=1                    环境变量.OMP_NUM_THREADS=1
    output_path=on   aim_repo=on             训练输出 / 自定义评估
    evaluation.accuracy=>= 0.9               评估要求.accuracy
    machines=spot_first  priority=low        机器 / 优先级
    timeout=2h  retries=1  description=...   idempotency_key=...

`hyperparameters`, `env` and `evaluation` may also be one field with a `NAME=VALUE` on each line.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

from pydantic import ValidationError

from trainyard.intake.problems import fields_of, invalid_fields, unknown_field
from trainyard.intake.submissions import SubmitRun
from trainyard.model.catalogue import load_catalogue
from trainyard.model.errors import InvalidInput
from trainyard.model.ids import is_run_id
from trainyard.model.repository import FULL_NAME
from trainyard.model.run import Origin
from trainyard.model.text import Text

MAX_FIELDS = 500

# Each field with the other names under which it may come.
_NAMES: dict[str, tuple[str, ...]] = {
    "name": ("训练名称", "名称", "Training name", "Name"),
    "description": ("desc", "描述", "Description"),
    "ref": ("branch", "revision", "分支", "标签", "Branch", "Branch or tag"),
    "commit": ("提交", "Commit"),
    "code_dir": ("代码目录", "Code directory", "Code folder"),
    "boot_file": ("启动文件", "Boot file"),
    "framework": ("compute_version", "version", "框架版本", "训练框架", "Framework", "Framework version"),
    "image": ("镜像", "自定义镜像", "Image", "Image of your own"),
    "flavor": ("compute_flavor", "计算资源", "规格", "Flavor", "Compute resource"),
    "timeout": ("最长时间", "运行时限", "Time limit", "Timeout"),
    "retries": ("重试次数", "Retries"),
    "machines": ("机器", "Machines"),
    "nodes": ("机器数", "Machines that train together", "Nodes"),
    "processes": ("进程数", "Processes"),
    "priority": ("优先级", "Priority"),
    "output": ("output_path", "enable_output", "训练输出", "Training output"),
    "aim": ("aim_repo", "enable_aim", "自定义评估", "Custom evaluation"),
    "hyperparameters": ("hyperparameter", "超参", "Hyperparameters"),
    "env": ("环境变量", "Environment variables"),
    "evaluation": ("evaluation.require", "评估要求", "Evaluation requirements"),
    "inputs": ("输入", "Inputs"),
    "models": ("输入模型", "Input models"),
    "datasets": ("输入数据集", "Input datasets"),
    "pretrain_url": ("预训练模型", "Pretrained model"),
    "data_url": ("数据集", "Dataset"),
    "idempotency_key": (),
}
_FIELD_OF = {other.casefold(): field for field, others in _NAMES.items() for other in (field, *others)}
_REQUEST_FIELDS = ("name", "ref", "commit", "idempotency_key")
_SPEC_FIELDS = (
    "description", "code_dir", "boot_file", "framework", "image", "flavor", "timeout", "retries", "machines", "nodes",
    "processes", "priority",
)  # fmt: skip
_SWITCHES = ("output", "aim")
_PAIRS = ("hyperparameters", "env", "evaluation")
_INPUT_PARTS = ("dataset", "model", "run", "child", "s3", "revision", "path")
_TUTORIAL_INPUTS = {"pretrain_url": "model", "data_url": "dataset"}
_TRUE = {"on", "true", "yes", "1", "是", "开启"}
_FALSE = {"", "off", "false", "no", "0", "否", "关闭"}
_REPOSITORY = re.compile(rf"(?P<name>{FULL_NAME.pattern})(?:/(?P<path>[^@]+))?(?:@(?P<revision>.+))?")


def read_form(body: bytes) -> SubmitRun:
    """The request that a form makes. Empty fields count as left out.

    Raises:
        InvalidInput: with every wrong field in `details.fields`, each named as the form named it.
    """
    return _Reading(_fields(body)).request()


def _fields(body: bytes) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise InvalidInput(
            Text(
                en="The form cannot be read. Send it as application/x-www-form-urlencoded in UTF-8, "
                f"at most {MAX_FIELDS} fields.",
                zh="无法读取表单。请以 UTF-8 编码的 application/x-www-form-urlencoded 发送，"
                f"最多 {MAX_FIELDS} 个字段。",
            )
        ) from None
    return [(name.strip(), value.strip()) for name, value in pairs]


class _Reading:
    """One form while it is read: the document that is built and the faults that were found."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._request: dict[str, Any] = {}
        self._spec: dict[str, Any] = {}
        self._faults: dict[str, Text] = {}
        self._labels: dict[str, str] = {}
        """Place in the request to the name that the form used for it."""

    def request(self) -> SubmitRun:
        for name, value in self._pairs:
            self._take(name, value)
        document = {**self._request, "spec": self._spec, "origin": Origin.FORM}
        request = None
        try:
            request = SubmitRun.model_validate(document)
        except ValidationError as error:
            for place, text in fields_of(error).items():
                self._faults.setdefault(self._label(place), text)
        if self._faults or request is None:
            raise invalid_fields(self._faults)
        return request

    def _take(self, name: str, value: str) -> None:
        field, key = _split(name)
        match field:
            case None:
                self._faults[name] = unknown_field(name, list(_NAMES))
            case _ if not value and field not in _SWITCHES:
                return
            case "inputs" | "models" | "datasets" | "pretrain_url" | "data_url":
                self._input(name, field, key, value)
            case _ if field in _PAIRS:
                self._pair(name, field, key, value)
            case _ if key:
                self._faults[name] = unknown_field(name, list(_NAMES))
            case _ if field in _SWITCHES:
                self._switch(name, field, value)
            case _ if field in _REQUEST_FIELDS:
                self._put(name, self._request, field, value, field)
            case _:
                self._put(name, self._spec, field, _catalogue_name(field, value), f"spec.{field}")

    def _put(self, name: str, target: dict[str, Any], key: str, value: Any, place: str) -> None:
        if key in target and target[key] != value:
            self._faults[name] = Text(en="This field was given twice.", zh="此字段重复填写。")
        target[key] = value
        self._labels[place] = name

    def _switch(self, name: str, field: str, value: str) -> None:
        lowered = value.casefold()
        if lowered not in _TRUE | _FALSE:
            self._faults[name] = Text(
                en="Write on or off: the platform itself chooses the folder and passes it to the script.",
                zh="请填写 on 或 off：文件夹由平台分配并传给脚本。",
            )
            return
        # A browser sends a hidden `off` before a ticked box, so the last one counts.
        self._spec[field] = lowered in _TRUE
        self._labels[f"spec.{field}"] = name

    def _pair(self, name: str, field: str, key: str, value: str) -> None:
        pairs = [(key, value)] if key else [_line(line) for line in value.splitlines() if line.strip()]
        target = self._spec.setdefault(field, {})
        if field == "evaluation":
            target = target.setdefault("require", {})
        for one, text in pairs:
            if text is None:
                self._faults[name] = Text(en="Write NAME=VALUE on each line.", zh="请每行填写一个 名称=值。")
                return
            place = f"spec.evaluation.require.{one}" if field == "evaluation" else f"spec.{field}.{one}"
            self._put(name, target, one, _values(text) if field == "hyperparameters" else text, place)

    def _input(self, name: str, field: str, key: str, value: str) -> None:
        """`inputs.KEY.PART=...`, `inputs.KEY=dataset ...`, `models.KEY=...`, `pretrain_url=...`."""
        if field in _TUTORIAL_INPUTS:
            key, kind = (f"{field}.{key}" if key else field), _TUTORIAL_INPUTS[field]
        else:
            kind = {"models": "model", "datasets": "dataset"}.get(field, "")
        argument, dot, part = key.partition(".")
        if not argument or (dot and part not in _INPUT_PARTS) or not (dot or kind):
            self._faults[name] = Text(
                en="Write inputs.ARGUMENT.dataset=OWNER/NAME (or .model, .run, .child, .s3, .revision, .path).",
                zh="请填写 inputs.参数名.dataset=所有者/名称（或 .model、.run、.child、.s3、.revision、.path）。",
            )
            return
        known = self._spec.setdefault("inputs", {}).setdefault(argument, {})
        if dot:
            self._put(name, known, part, value, f"spec.inputs.{argument}.{part}")
        else:
            for one, text in _source(kind, value).items():
                self._put(name, known, one, text, f"spec.inputs.{argument}.{one}")
        self._labels[f"spec.inputs.{argument}"] = name

    def _label(self, place: str) -> str:
        return self._labels.get(place) or place.removeprefix("spec.")


def _split(name: str) -> tuple[str | None, str]:
    """The field that a name means, and what follows its dot. None for a name that means nothing here."""
    whole = _FIELD_OF.get(name.casefold())
    if whole is not None:
        return whole, ""
    head, _, key = name.partition(".")
    if head.casefold() == "evaluation":
        key = key.removeprefix("require.")
    return _FIELD_OF.get(head.strip().casefold()), key.strip()


def _line(line: str) -> tuple[str, str | None]:
    name, equals, value = line.partition("=")
    return name.strip(), value.strip() if equals else None


def _values(text: str) -> str | list[str]:
    """`[0.1, 0.01]`: the values that a sweep is to try. Text is what anything else means."""
    if not (text.startswith("[") and text.endswith("]")):
        return text
    return [one.strip() for one in text[1:-1].split(",")] if text[1:-1].strip() else []


def _source(kind: str, value: str) -> dict[str, str]:
    """`OWNER/NAME`, `OWNER/NAME/PATH@REVISION`, `run-ID`, `run-ID/PATH`."""
    run_id, _, path = value.partition("/")
    if is_run_id(run_id):
        return {"run": run_id, "path": path} if path else {"run": run_id}
    match = _REPOSITORY.fullmatch(value)
    if match is None:
        return {kind: value}
    found = {kind: match["name"], "path": match["path"], "revision": match["revision"]}
    return {part: text for part, text in found.items() if text}


def _catalogue_name(field: str, value: str) -> str:
    """The catalogue's name for what the form shows: the tutorial's version of a framework, a flavor's title."""
    catalogue = load_catalogue()
    if field == "framework" and catalogue.framework(value) is None:
        titles = ((entry.name, (entry.version, entry.title.en, entry.title.zh)) for entry in catalogue.frameworks)
    elif field == "flavor" and catalogue.flavor(value) is None:
        titles = ((entry.name, ("", entry.title.en, entry.title.zh)) for entry in catalogue.flavors)
    else:
        return value
    return next((name for name, shown in titles if value in shown), value)
