"""The file that describes the runs. `validation/run_file` reads it and finds these faults on the way."""

from __future__ import annotations

from typing import ClassVar

from trainyard.model.text import Text
from trainyard.validation.rules.contract import EXAMPLE_SPEC, Example, NotedRule


class RunFileMissing(NotedRule):
    id: ClassVar[str] = "run-file-missing"
    title = Text(en="trainyard.yaml is missing", zh="缺少 trainyard.yaml")
    explanation = Text(
        en="The file in the root of the repository says what to train. Without it a push starts nothing.",
        zh="仓库根目录下的该文件说明要训练什么。没有它，推送不会启动任何训练。",
    )
    failing = (
        Example(without=("trainyard.yaml",)),
        Example({"train/trainyard.yaml": EXAMPLE_SPEC}, without=("trainyard.yaml",)),
    )
    passing = (
        Example(),
        Example(
            {
                "trainyard.json": '{"runs": {"a": {"boot_file": "train.py", "framework": "python-cpu", '
                '"flavor": "cpu", "output": false}}}'
            },
            without=("trainyard.yaml",),
        ),
    )


class RunFileSyntax(NotedRule):
    id: ClassVar[str] = "run-file-syntax"
    title = Text(en="trainyard.yaml cannot be read", zh="无法读取 trainyard.yaml")
    explanation = Text(
        en="The file must be YAML 1.2 (or JSON) in UTF-8: one document, no key twice, no tags, at most 64 KB and 32 "
        "levels. `on`, `yes` and `no` are words; only `true` and `false` are truth values.",
        zh="该文件必须是 UTF-8 编码的 YAML 1.2（或 JSON）：只有一个文档、键不重复、不含标签、不超过 64 KB 和 32 层。"
        "`on`、`yes`、`no` 是普通单词，只有 `true` 和 `false` 是布尔值。",
    )
    failing = (
        Example({"trainyard.yaml": "runs:\n  lenet5:\n\tboot_file: train.py\n"}, line=3),
        Example({"trainyard.yaml": "runs:\n  a:\n    boot_file： train.py\n    flavor: cpu\n"}, line=3),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    flavor: cpu\n"}, line=7),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    evaluation: {require: {accuracy: >= 0.9}}\n"}, line=7),
    )
    passing = (Example({"trainyard.yaml": EXAMPLE_SPEC + '    evaluation: {require: {accuracy: ">= 0.9"}}\n'}),)


class RunFileKey(NotedRule):
    id: ClassVar[str] = "run-file-key"
    title = Text(en="Unknown key in trainyard.yaml", zh="trainyard.yaml 中有未知的键")
    explanation = Text(
        en="A key that is not known would be ignored, and the run would not be what was meant. Keys at the top that "
        "start with `x-` are free for what anchors share.",
        zh="未知的键若被忽略，训练就会与预期不符。顶层以 `x-` 开头的键可自由使用，用于存放锚点共享的内容。",
    )
    failing = (
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    hyperparamters: {epochs: 10}\n"}, line=7),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    on: {push: {branch: [main]}}\n"}, line=7),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    inputs: {data_url: {datset: demo/digits}}\n"}, line=7),
    )
    passing = (Example({"trainyard.yaml": "x-shared: {anything: 1}\n" + EXAMPLE_SPEC}),)


class RunFileValue(NotedRule):
    id: ClassVar[str] = "run-file-value"
    title = Text(en="Missing or wrong value in trainyard.yaml", zh="trainyard.yaml 中缺少值或值有误")
    explanation = Text(
        en="A value is missing, of the wrong type, or outside what is allowed.",
        zh="缺少某个值、类型不符，或超出允许的范围。",
    )
    failing = (
        Example({"trainyard.yaml": "runs:\n  a:\n    framework: python-cpu\n    flavor: cpu\n"}, line=2),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    env: {OMP_NUM_THREADS: 1}\n"}, line=7),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    timeout: two hours\n"}, line=7),
        Example({"trainyard.yaml": EXAMPLE_SPEC + "    inputs: {data_url: {dataset: digits}}\n"}, line=7),
        Example({"trainyard.yaml": ""}),
    )
    passing = (Example({"trainyard.yaml": EXAMPLE_SPEC + '    env: {OMP_NUM_THREADS: "1"}\n    timeout: 2h\n'}),)
