"""The model's own refusals. It speaks English only, for programs; here they get their Chinese and what to do."""

from __future__ import annotations

import re

from trainyard.model.text import Text

_OWN: list[tuple[str, str, str, str, str]] = [
    (
        r"write a duration as .*",
        "`{shown}` is no duration.",
        "`{shown}` 不是时长。",
        "Write 90s, 30m, 2h or 1d.",
        "请写成 90s、30m、2h 或 1d。",
    ),
    (
        r"that duration is too long",
        "`{shown}` is too long.",
        "`{shown}` 过长。",
        "Write 14d or less.",
        "请填写不超过 14d 的时长。",
    ),
    (
        r"choose from (\S+) to (\S+)",
        "`{shown}` must be from {0} to {1}.",
        "`{shown}` 必须在 {0} 到 {1} 之间。",
        "Write a duration from {0} to {1}.",
        "请填写 {0} 到 {1} 之间的时长。",
    ),
    (
        r"name exactly one of dataset, model, run and s3",
        "`{shown}` must name exactly one source.",
        "`{shown}` 必须且只能指定一个来源。",
        "Write one of `dataset: OWNER/NAME`, `model: OWNER/NAME`, `run: ID` and `s3: s3://BUCKET/PREFIX`.",
        "请在 `dataset: 所有者/名称`、`model: 所有者/名称`、`run: ID`、`s3: s3://桶/前缀` 中写一个。",
    ),
    (
        r"name either a framework or an image",
        "A run stands on either a `framework` or an `image` of your own.",
        "训练必须且只能指定 `framework` 或自定义镜像 `image` 之一。",
        "Write one of them, such as `framework: mindspore-cpu`.",
        "请只填写其中一个，例如 `framework: mindspore-cpu`。",
    ),
    (
        r"(?:write an image with its registry.*|write an image with a tag or a digest)",
        "`{shown}` is not the full name of an image.",
        "`{shown}` 不是完整的镜像名称。",
        "Write REGISTRY/NAME:TAG, such as `docker.io/library/python:3.12`, or REGISTRY/NAME@sha256:DIGEST.",
        "请填写 仓库地址/名称:标签，例如 `docker.io/library/python:3.12`，或 仓库地址/名称@sha256:摘要。",
    ),
    (
        r"write an image's digest as .*",
        "The digest in `{shown}` is none.",
        "`{shown}` 中的摘要无效。",
        "Write `@sha256:` and 64 hexadecimal digits in small letters.",
        "请写成 `@sha256:` 加 64 位小写十六进制数字。",
    ),
    (
        r"an image's (?:repository|tag) is .*",
        "`{shown}` cannot be the name of an image.",
        "`{shown}` 不能作为镜像名称。",
        "Use small letters, digits and `.`, `_`, `-` between slashes, and at most 128 characters in the tag.",
        "请使用小写字母、数字以及 `.`、`_`、`-`，以斜杠分段；标签最多 128 个字符。",
    ),
    (
        r"the name of an image has at most (\d+) characters",
        "`{shown}` is longer than {0} characters.",
        "`{shown}` 超过 {0} 个字符。",
        "Use a shorter name.",
        "请使用更短的名称。",
    ),
    (
        r"write a run's id or `latest OWNER/PROJECT`",
        "`{shown}` names no run.",
        "`{shown}` 不是有效的训练。",
        "Write a run's id, or `latest OWNER/PROJECT` or `latest OWNER/PROJECT NAME` for the newest that succeeded.",
        "请填写训练 ID，或用 `latest 所有者/项目`、`latest 所有者/项目 名称` 表示最近一次成功的训练。",
    ),
    (
        r"write s3://BUCKET/PREFIX",
        "`{shown}` is no address of S3 objects.",
        "`{shown}` 不是 S3 地址。",
        "Write s3://BUCKET/PREFIX, such as s3://our-data/digits.",
        "请写成 s3://桶/前缀，例如 s3://our-data/digits。",
    ),
    (
        r"a child is a training of a sweep.*",
        "`child` is a training of a sweep, and no `run` is named.",
        "`child` 表示超参搜索中的一次训练，但没有填写 `run`。",
        "Write `run: RUN_ID` beside it, or remove `child`.",
        "请同时写上 `run: 训练ID`，或删除 `child`。",
    ),
    (
        r"a run's output has no revision.*",
        "The output of a run has no revision.",
        "训练输出没有版本（revision）。",
        "Leave `revision` out.",
        "请去掉 `revision`。",
    ),
    (
        r"the (?:boot file|script) must be a \.py file",
        "`{shown}` is not a Python file.",
        "`{shown}` 不是 Python 文件。",
        "Name a .py file, relative to code_dir.",
        "请填写相对于 code_dir 的 .py 文件。",
    ),
    (
        r"write a path relative to the repository.*",
        "`{shown}` is not a path in the repository.",
        "`{shown}` 不是仓库内的路径。",
        "Write it without a leading slash and with forward slashes, such as train/trainDir.",
        "请去掉开头的斜杠并使用正斜杠，例如 train/trainDir。",
    ),
    (
        r"a path may not contain `\.\.`",
        "`{shown}` leaves its folder.",
        "`{shown}` 超出了所在文件夹。",
        "Write a path without `..`.",
        "请去掉路径中的 `..`。",
    ),
    (
        r"at most (\d+) environment variables",
        "There are more than {0} environment variables.",
        "环境变量超过 {0} 个。",
        "Keep at most {0}.",
        "请保留不超过 {0} 个。",
    ),
    (
        r"('.*'|\".*\") is not a name of an environment variable",
        "{0} cannot be the name of an environment variable.",
        "{0} 不能作为环境变量名。",
        "Use letters, digits and underscores, not starting with a digit.",
        "请使用字母、数字和下划线，且不以数字开头。",
    ),
    (
        r"(\S+) is reserved for the platform.*",
        "The environment variable {0} is reserved for the platform.",
        "环境变量 {0} 由平台保留。",
        "Choose another name.",
        "请换一个名称。",
    ),
    (
        r"the value of (\S+) is longer than.*",
        "The value of {0} is longer than 4096 characters or holds a null byte.",
        "{0} 的值超过 4096 个字符，或包含空字节。",
        "Put it into a file of the repository and read it there.",
        "请写入仓库中的文件，再由脚本读取。",
    ),
    (
        r"('.*'|\".*\") cannot be the name of an argument",
        "{0} cannot be the name of an argument.",
        "{0} 不能作为参数名。",
        "Use letters, digits, dashes and underscores, starting with a letter: `data_url` becomes `--data_url`.",
        "请使用字母、数字、连字符和下划线，并以字母开头：`data_url` 会变成 `--data_url`。",
    ),
    (
        r"output_path is set by the platform.*",
        "`output_path` is set by the platform.",
        "`output_path` 由平台设置。",
        "Remove it and write `output: true`.",
        "请删除它，并写 `output: true`。",
    ),
    (
        r"aim_repo is set by the platform.*",
        "`aim_repo` is set by the platform.",
        "`aim_repo` 由平台设置。",
        "Remove it and write `aim: true`.",
        "请删除它，并写 `aim: true`。",
    ),
    (
        r"model_url is set by the platform.*",
        "`model_url` is set by the platform: the outputs of the evaluated run.",
        "`model_url` 由平台设置：即被评估训练的输出。",
        "Use another name.",
        "请换一个名称。",
    ),
    (
        r"inputs and hyperparameters are the script's.*",
        "`inputs` and `hyperparameters` of the evaluation are for its script, and there is none.",
        "评估的 `inputs` 和 `hyperparameters` 用于评估脚本，但没有指定脚本。",
        "Add `script: evaluate.py`, or remove them.",
        "请添加 `script: evaluate.py`，或删除它们。",
    ),
    (
        r"an evaluation script needs what the run leaves.*",
        "The evaluation script would have nothing to judge: the run keeps no output.",
        "该训练不保存输出，评估脚本没有可评估的内容。",
        "Write `output: true`.",
        "请写 `output: true`。",
    ),
    (
        r"(\S+) is both an input and a hyperparameter",
        "`{0}` is both an input and a hyperparameter.",
        "`{0}` 同时出现在 inputs 和 hyperparameters 中。",
        "Keep one of the two.",
        "请只保留其中一个。",
    ),
    (
        r"hyperparameters hold more than (\d+) bytes.*",
        "The hyperparameters hold more than {0} bytes.",
        "hyperparameters 超过 {0} 字节。",
        "Put them into a file of the repository and read it there.",
        "请写入仓库中的文件，再由脚本读取。",
    ),
    (
        r"a hyperparameter holds a null byte.*",
        "A hyperparameter holds a null byte, which no argument can.",
        "有超参包含空字节，不能作为参数传递。",
        "Remove it.",
        "请删除它。",
    ),
    (
        r"a revision has no control characters.*",
        "`{shown}` holds control characters.",
        "`{shown}` 包含控制字符。",
        "Write a branch, a tag or a commit.",
        "请填写分支、标签或提交。",
    ),
    (
        r"(\S+) lists a value twice",
        "`{0}` lists a value twice: the same training would be paid for twice.",
        "`{0}` 的列表中有重复的值，同样的训练会计费两次。",
        "Remove one of them; to repeat a training, list a `seed`.",
        "请删除重复的值；如需重复训练，请列出 `seed`。",
    ),
    (
        r"the lists make (\d+) combinations; a sweep has at most (\d+)",
        "The lists make {0} combinations; a sweep has at most {1}.",
        "列表共有 {0} 种组合，一次搜索最多 {1} 种。",
        "Shorten some of the lists.",
        "请缩短部分列表。",
    ),
    (
        r"a sweep has no evaluation script.*",
        "An evaluation script judges one training, and this run is a sweep of several.",
        "评估脚本只评估一个训练，而此训练是超参搜索。",
        "Remove the script; `require` judges the best training.",
        "请删除脚本；`require` 会评判最佳训练。",
    ),
    (
        r"a sweep cannot change its machines.*",
        "A sweep cannot change from spot to on-demand machines.",
        "超参搜索不能从竞价机器切换到按需机器。",
        "Write `machines: spot` or `machines: on_demand`.",
        "请写 `machines: spot` 或 `machines: on_demand`。",
    ),
    (
        r"several nodes train one combination.*",
        "A sweep has one machine for each of its trainings, and this run asks for several `nodes`.",
        "超参搜索的每个训练只用一台机器，而此训练要求多个 `nodes`。",
        "Remove `nodes`, or give each hyperparameter one value.",
        "请删除 `nodes`，或为每个超参只填一个值。",
    ),
    (
        r"several nodes are on-demand machines.*",
        "AWS Batch lets several machines train together on on-demand machines alone.",
        "AWS Batch 的多机训练只支持按需机器。",
        "Write `machines: on_demand`, or remove `nodes`.",
        "请写 `machines: on_demand`，或删除 `nodes`。",
    ),
    (
        r"at most (\d+) hyperparameters and (\d+) inputs",
        "There are more than {0} hyperparameters or {1} inputs.",
        "hyperparameters 超过 {0} 个，或 inputs 超过 {1} 个。",
        "Put the rest into a file of the repository and read it there.",
        "其余部分请写入仓库中的文件，再由脚本读取。",
    ),
]


def own_words(said: str, shown: str) -> tuple[Text, Text]:
    for pattern, message_en, message_zh, fix_en, fix_zh in _OWN:
        found = re.fullmatch(pattern, said)
        if found:
            parts = [part[:80] for part in found.groups()]
            texts = [text.format(*parts, shown=shown) for text in (message_en, message_zh, fix_en, fix_zh)]
            return Text(en=texts[0], zh=texts[1]), Text(en=texts[2], zh=texts[3])
    return (
        Text(en=f"`{shown}`: {said[:200]}.", zh=f"`{shown}` 的值无效：{said[:200]}。"),
        Text(en="Change it as the message says.", zh="请按提示修改。"),
    )
