"""Downloads in the training code: the script has no network."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import ClassVar

from trainyard.model.finding import Finding, Severity
from trainyard.model.text import Text
from trainyard.validation.rules.contract import Example, RunRule
from trainyard.validation.script import Script, constant, dotted_name, keyword
from trainyard.validation.view import Place, RunView

# The last parts of the names of functions that fetch, whatever they are called on.
_FETCHING = re.compile(
    r"(^|\.)(urllib\.request\.(urlopen|urlretrieve)|urlretrieve|urlopen|wget\.download|gdown\.(download|cached_download)"
    r"|requests\.(get|post|request)|httpx\.(get|post|stream)|torch\.hub\.(load|download_url_to_file|load_state_dict_from_url)"
    r"|load_state_dict_from_url|load_url|hf_hub_download|snapshot_download|download_and_extract_archive|download_url"
    r"|mindspore_hub\.load|mshub\.load|tfds\.load|fetch_openml|fetch_20newsgroups|fetch_california_housing|fetch_lfw_people"
    r"|fetch_covtype|nltk\.download|kaggle\.api\.[a-z_]+|get_file)$"
)
_DATASETS_LOAD = re.compile(r"(^|\.)datasets\.(mnist|fashion_mnist|cifar10|cifar100|imdb|reuters)\.load_data$")
_COMMAND = re.compile(
    r"(^|[\s;&|/])(wget|curl|git clone|git lfs|pip3? install|apt(-get)? install|huggingface-cli)(\s|$)"
)
_LOCAL_BUILDERS = {"csv", "json", "text", "parquet", "arrow", "imagefolder", "audiofolder", "pandas", "webdataset"}
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_MAX_PER_FILE = 20


class Download(RunRule):
    id: ClassVar[str] = "download"
    title = Text(en="Download in the training code", zh="训练代码中有下载操作")
    explanation = Text(
        en="The script runs without the network. Data sets and pre-trained models are declared as inputs: they are "
        "staged before the script starts, and their paths come as arguments.",
        zh="脚本运行时没有网络。数据集和预训练模型应声明为输入：它们会在脚本启动前准备好，路径以参数形式传入。",
    )
    severity = Severity.WARNING
    failing = (
        Example(
            {
                "train.py": "from mindvision.dataset import Mnist\n\n"
                'download_train = Mnist(path="./mnist", split="train", batch_size=32, download=True)\n'
            },
            line=3,
        ),
        Example(
            {"train.py": "import urllib.request\nurllib.request.urlretrieve('https://example.com/a', 'a')\n"}, line=2
        ),
        Example({"train.py": "from datasets import load_dataset\ndata = load_dataset('glue', 'sst2')\n"}, line=2),
        Example({"train.py": "model = AutoModel.from_pretrained('bert-base-chinese')\n"}, line=1),
        Example({"train.py": "import os\nos.system('wget https://example.com/a')\n"}, line=2),
    )
    passing = (
        Example({"train.py": "data = Mnist(path='data', download=False)\n"}),
        Example({"train.py": "data = load_dataset('csv', data_files=args.data_url)\n"}),
        Example({"train.py": "model = AutoModel.from_pretrained(args.pretrain_url)\n"}),
    )

    def check(self, view: RunView) -> Iterator[Finding]:
        for script in view.scripts:
            found = 0
            for call in script.calls:
                what = _download(call, script)
                if what is None:
                    continue
                at = _blamed(call)
                yield self.finding(
                    Place(script.path, at.lineno, at.col_offset + 1),
                    Text(
                        en=f"{what} downloads, and the script has no network.",
                        zh=f"{what} 会下载内容，而脚本没有网络。",
                    ),
                    Text(
                        en="Declare it: `inputs: {data_url: {dataset: OWNER/NAME}}` (or `model:`), and read it from "
                        "`args.data_url`.",
                        zh="请声明为输入：`inputs: {data_url: {dataset: 所有者/名称}}`（或 `model:`），并从 "
                        "`args.data_url` 读取。",
                    ),
                )
                found += 1
                if found >= _MAX_PER_FILE:
                    break


def _download(call: ast.Call, script: Script) -> str | None:  # noqa: PLR0911 - one return for each kind
    """What of the call downloads, as it is written; None if nothing does."""
    called = dotted_name(call.func)
    last = call.func.attr if isinstance(call.func, ast.Attribute) else called
    if constant(keyword(call, "download")) is True:
        return "`download=True`"
    if constant(keyword(call, "pretrained")) is True:
        return "`pretrained=True`"
    if constant(keyword(call, "weights")) in ("imagenet", "DEFAULT", "IMAGENET1K_V1", "IMAGENET1K_V2"):
        return "`weights=...`"
    if last == "from_pretrained" and _names_hub(call):
        return f"`from_pretrained({_first(call)!r})`"
    if last == "load_dataset" and _names_hub(call) and _first(call) not in _LOCAL_BUILDERS:
        return f"`load_dataset({_first(call)!r})`"
    if _DATASETS_LOAD.search(called) and "path" not in {word.arg for word in call.keywords}:
        return f"`{called}`"
    if last in ("system", "run", "call", "check_call", "check_output", "Popen", "getoutput"):
        command = _command(call)
        found = _COMMAND.search(command) if command else None
        return f"`{found[2]}`" if found else None
    if called and _FETCHING.search(called) and _is_module(called, script):
        return f"`{called}`"
    return None


def _blamed(call: ast.Call) -> ast.Call | ast.keyword:
    """The keyword that asks for the download, or else the call."""
    asking = ("download", "pretrained")
    return next((word for word in call.keywords if word.arg in asking and constant(word.value) is True), call)


def _is_module(called: str, script: Script) -> bool:
    """Whether a bare name such as `urlopen` was imported, and not defined by the repository for something else."""
    if "." in called:
        return True
    return any(
        isinstance(node, ast.ImportFrom)
        and any((alias.asname or alias.name) == called for alias in node.names)
        and node.level == 0
        for node in script.nodes
    )


def _first(call: ast.Call) -> object:
    return constant(call.args[0]) if call.args else constant(keyword(call, "path"))


def _names_hub(call: ast.Call) -> bool:
    """Whether the first argument is a name on a hub: a literal that is no path to a file or folder."""
    name = _first(call)
    if not isinstance(name, str) or not _HUB_NAME.fullmatch(name):
        return False
    has_suffix = name.rpartition("/")[2].endswith((".json", ".ckpt", ".bin", ".pt", ".txt", ".csv", ".yaml"))
    return not has_suffix and constant(keyword(call, "local_files_only")) is not True


def _command(call: ast.Call) -> str:
    given = call.args[0] if call.args else keyword(call, "args")
    if isinstance(given, ast.List | ast.Tuple):
        return " ".join(str(constant(part)) for part in given.elts[:4] if constant(part) is not None)
    if isinstance(given, ast.JoinedStr):
        return "".join(str(constant(part) or " ") for part in given.values[:10])
    value = constant(given)
    return value[:500] if isinstance(value, str) else ""
