"""Good training repositories: no rule may find an error in any of them.

FOLDERS are whole ones as people write them, each a folder beside this file; REPOSITORIES are small ones, for one idiom
each.
"""

from __future__ import annotations

from pathlib import Path

Files = dict[str, str]
_GOOD = Path(__file__).with_name("good")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


FOLDERS = {folder.name: files_of(folder) for folder in sorted(_GOOD.iterdir())}


def spec(code_dir: str = "", boot: str = "train.py", framework: str = "python-cpu", output: bool = True, **more: str) -> str:
    lines = ["runs:", "  main:"]
    if code_dir:
        lines.append(f"    code_dir: {code_dir}")
    lines += [f"    boot_file: {boot}", f"    framework: {framework}", "    flavor: cpu"]
    if not output:
        lines.append("    output: false")
    lines += [f"    {key}: {value}" for key, value in more.items()]
    return "\n".join(lines) + "\n"


def project(script: str, requirements: str | None = None, files: Files | None = None, boot: str = "train.py", **more: object) -> Files:
    made = {"trainyard.yaml": spec(boot=boot, **more), boot: script, **(files or {})}
    if requirements is not None:
        made["pip-requirements.txt"] = requirements
    return made


ARGPARSE = """\
import argparse

def parse_args():
    parser = argparse.ArgumentParser(description="train")
    parser.add_argument("--data_url", type=str, default="")
    parser.add_argument("--output_path", type=str, default="")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=0.1)
    return parser.parse_args()
"""
DATA = "{data_url: {dataset: demo/digits}}"
HYPER = "{epochs: 10, lr: 0.01}"
MINDVISION = (
    "mindspore==2.7.0\nnumpy<2\nmindvision==0.1.0\nopencv-contrib-python-headless==4.5.5.64\n"
    "opencv-python==4.5.5.64\nopencv-python-headless==4.5.5.64\n"
)
TORCH = ARGPARSE + """
import torch
import torch.nn as nn
from torch.utils.data import DataLoader

if __name__ == "__main__":
    args = parse_args()
    model = nn.Linear(2, 2)
    torch.save(model.state_dict(), args.output_path + "/m.pt")
"""

REPOSITORIES: dict[str, Files] = {
    "mindspore_lenet_tutorial": {
        "trainyard.yaml": spec("train/trainDir", framework="mindspore-cpu", inputs="{pretrain_url: {model: demo/lenet5, path: lenet.ckpt}, data_url: {dataset: demo/digits}}"),
        "train/trainDir/train.py": "import os\n" + ARGPARSE.replace('"--data_url"', '"--pretrain_url", type=str, default="")\n    parser.add_argument("--data_url"')
        + "from mindvision.classification.dataset import Mnist\nfrom mindspore import load_checkpoint\n",
        "train/trainDir/pip-requirements.txt": MINDVISION,
    },
    "mindspore_plain": project(ARGPARSE + "import mindspore as ms\nimport mindspore.nn as nn\nimport numpy as np\n", "mindspore==2.10.0\n", framework="mindspore-cpu", inputs=DATA, hyperparameters=HYPER),
    "mindspore_unpinned": project("import mindspore\nprint(mindspore.run_check())\n", "mindspore\n", framework="mindspore-cpu"),
    "mindspore_ranged": project("import mindspore\n", "mindspore>=2.7,<2.8\nnumpy<2\n", framework="mindspore-cpu"),
    "mindcv": project(ARGPARSE + "import mindcv\nfrom mindcv.models import create_model\nimport yaml\n", "mindspore==2.7.0\nmindcv\n", framework="mindspore-cpu"),
    "mindnlp": project("from mindnlp.transformers import AutoModel\nimport mindspore\n", "mindspore==2.7.0\nmindnlp\n", framework="mindspore-cpu", output=False),
    "torch_argparse": project(TORCH, "torch==2.6.0\n", inputs=DATA, hyperparameters=HYPER),
    "torch_vision": project(TORCH + "import torchvision.transforms as T\nfrom PIL import Image\n", "torch\ntorchvision\n--extra-index-url https://download.pytorch.org/whl/cpu\n"),
    "torch_package": project("from src.engine import main\nmain()\n", "torch\n", {"src/__init__.py": "", "src/engine.py": "from .model import Net\nfrom src.options import get_args\ndef main():\n    args = get_args()\n", "src/model.py": "import torch\nNet = torch.nn.Linear\n", "src/options.py": ARGPARSE.replace("parse_args():", "get_args():", 1)}, inputs=DATA),
    "torch_known_args": project("import argparse\np = argparse.ArgumentParser()\np.add_argument('--x')\na, rest = p.parse_known_args()\n", "", inputs=DATA, hyperparameters=HYPER),
    "torch_dataclass_cli": project("import sys\nfor word in sys.argv[1:]:\n    print(word)\n", inputs=DATA),
    "lightning": project(ARGPARSE + "import lightning as L\nimport torch\nclass Net(L.LightningModule):\n    pass\n", "lightning>=2.4\n", inputs=DATA),
    "lightning_cli": project("from lightning.pytorch.cli import LightningCLI\nLightningCLI()\n", "lightning\njsonargparse[signatures]\n", hyperparameters="{trainer.x: 1}".replace("trainer.x", "seed")),
    "transformers_args": project("from transformers import HfArgumentParser, TrainingArguments\nfrom dataclasses import dataclass, field\n@dataclass\nclass Data:\n    data_url: str = field(default='')\nparser = HfArgumentParser((Data, TrainingArguments))\nd, t = parser.parse_args_into_dataclasses()\n", "transformers\naccelerate\n", inputs=DATA, hyperparameters="{num_train_epochs: 3}"),
    "transformers_local": project(ARGPARSE + "from transformers import AutoModel\nargs = parse_args()\nm = AutoModel.from_pretrained(args.data_url, local_files_only=True)\n", "transformers==4.48.0\ntorch\n", inputs=DATA),
    "peft_lora": project(ARGPARSE + "from peft import LoraConfig\nfrom trl import SFTTrainer\nfrom datasets import load_dataset\nds = load_dataset('json', data_files='a.json')\n", "peft\ntrl\ndatasets\n", inputs=DATA),
    "keras": project(ARGPARSE + "import keras\nfrom keras import layers\n", "keras>=3\ntensorflow-cpu\n", inputs=DATA),
    "tensorflow_absl": project("from absl import app, flags\nFLAGS = flags.FLAGS\nflags.DEFINE_string('data_url', '', 'd')\nflags.DEFINE_string('output_path', '', 'o')\nflags.DEFINE_integer('epochs', 1, 'e')\ndef main(argv):\n    print(FLAGS.epochs)\napp.run(main)\n", "tensorflow\n", inputs=DATA, hyperparameters="{epochs: 3}"),
    "jax_flax": project(ARGPARSE + "import jax, optax\nimport jax.numpy as jnp\nfrom flax import linen as nn\n", "jax[cpu]\nflax\noptax\n", inputs=DATA),
    "sklearn": project(ARGPARSE + "from sklearn.svm import SVC\nimport joblib, numpy\n", "scikit-learn==1.6.1\n", inputs=DATA),
    "xgboost": project(ARGPARSE + "import xgboost as xgb\nimport pandas as pd\n", "xgboost\npandas\n"),
    "lightgbm": project(ARGPARSE + "import lightgbm\n", "lightgbm\n"),
    "catboost": project(ARGPARSE + "from catboost import CatBoostClassifier\n", "catboost\n"),
    "paddle": project(ARGPARSE + "import paddle\n", "paddlepaddle==2.6.2\n"),
    "ultralytics": project("from ultralytics import YOLO\nfrom ultralytics.cfg import entrypoint\nentrypoint()\n", "ultralytics\n", hyperparameters="{imgsz: 64}"),
    "stable_baselines": project(ARGPARSE + "import gymnasium as gym\nfrom stable_baselines3 import PPO\n", "stable-baselines3\n"),
    "hydra": project("import hydra\nfrom omegaconf import DictConfig\n@hydra.main(config_path='conf', config_name='c')\ndef main(cfg: DictConfig):\n    pass\nmain()\n", "hydra-core\n", {"conf/c.yaml": "lr: 1\n"}, hyperparameters=HYPER),
    "click": project("import click\n@click.command()\n@click.option('--data_url', required=True)\n@click.option('--output_path', default='.')\n@click.option('--epochs', type=int)\ndef main(data_url, output_path, epochs):\n    pass\nif __name__ == '__main__':\n    main()\n", "click\n", inputs=DATA, hyperparameters="{epochs: 2}"),
    "click_dashes": project("import click\n@click.command()\n@click.option('--data-url')\n@click.option('--output_path')\ndef main(**kw):\n    pass\nmain()\n", "click\n", inputs="{data-url: {dataset: demo/digits}}"),
    "typer": project("import typer\nfrom typing import Annotated\ndef main(data_url: Annotated[str, typer.Option('--data_url')], output_path: str = typer.Option('', '--output_path'), epochs: int = 3):\n    pass\ntyper.run(main)\n", "typer\n", inputs=DATA, hyperparameters="{epochs: 2}"),
    "fire": project("import fire\ndef train(data_url, output_path='', epochs=1):\n    pass\nif __name__ == '__main__':\n    fire.Fire(train)\n", "fire\n", inputs=DATA, hyperparameters="{epochs: 2}"),
    "fire_class": project("import fire\nclass Train:\n    def run(self, **kw):\n        pass\nfire.Fire(Train)\n", "fire\n", inputs=DATA),
    "stdlib_only": project("import csv, math, random, json\nprint(math.pi)\n"),
    "no_parser": project("import os\nprint(os.environ.get('EPOCHS'))\n", env='{EPOCHS: "3"}'),
    "subparsers": project("import argparse\np = argparse.ArgumentParser()\ns = p.add_subparsers()\nt = s.add_parser('train')\nt.add_argument('--lr')\np.parse_args()\n", hyperparameters=HYPER),
    "groups_and_parents": project("import argparse\nbase = argparse.ArgumentParser(add_help=False)\nbase.add_argument('--output_path')\np = argparse.ArgumentParser(parents=[base])\ng = p.add_argument_group('data')\ng.add_argument('--data_url', '-d', required=True)\ng.add_argument('--resume', action='store_true')\nm = p.add_mutually_exclusive_group()\nm.add_argument('--lr', type=float)\nargs = p.parse_args()\n", inputs=DATA, hyperparameters="{lr: 0.1}"),
    "computed_arguments": project("import argparse\np = argparse.ArgumentParser()\nfor name in ('data_url', 'output_path'):\n    p.add_argument('--' + name)\np.parse_args()\n", inputs=DATA),
    "abbreviated": project("import argparse\np = argparse.ArgumentParser()\np.add_argument('--output_path_root')\np.parse_args()\n"),
    "helper_script_with_own_parser": project("from prepare import load\nload()\n", files={"prepare.py": "import argparse\ndef load():\n    pass\nif __name__ == '__main__':\n    p = argparse.ArgumentParser()\n    p.add_argument('raw')\n    p.parse_args()\n"}, inputs=DATA),
    "deepspeed": project("import argparse, deepspeed\np = argparse.ArgumentParser()\np = deepspeed.add_config_arguments(p)\np.parse_args()\n", "deepspeed\n", hyperparameters="{local_rank: 0}"),
    "aim_tracking": project(ARGPARSE.replace('"--lr"', '"--aim_repo", default="")\n    parser.add_argument("--lr"') + "import aim\n", "aim\n", aim="true"),
    "chinese_everywhere": project("# 训练：手写数字（示例）\n" + ARGPARSE + "print('开始训练：第１轮，学习率＝0.1')\n", files={"说明.md": "# 说明：训练\n", "数据/标签.txt": "零，一\n"}),
    "byte_order_mark": project("\ufeff" + ARGPARSE),
    "windows_line_ends": {path: text.replace("\n", "\r\n") for path, text in project(ARGPARSE, "numpy\n", inputs=DATA).items()},
    "json_run_file": {"trainyard.json": '{"runs": {"a": {"boot_file": "train.py", "framework": "python-cpu", "flavor": "cpu"}}}', "train.py": ARGPARSE},
    "anchors": {"trainyard.yaml": "x-base: &base\n  framework: python-cpu\n  flavor: cpu\n  boot_file: train.py\nruns:\n  a: {<<: *base}\n  b: {<<: *base, flavor: cpu-small, on: {push: {tags: ['v*']}}}\n", "train.py": ARGPARSE},
    "many_runs": {"trainyard.yaml": "runs:\n" + "".join(f"  r{n}: {{boot_file: train.py, framework: python-cpu, flavor: cpu, hyperparameters: {{epochs: {n}}}}}\n" for n in range(1, 20)), "train.py": ARGPARSE},
    "quoted_requirement": project(ARGPARSE, evaluation="{require: {accuracy: '>= 0.9', loss: 'best < 0.1'}}", timeout="90m", retries="2"),
    "notebook_beside": project(ARGPARSE, files={"explore.ipynb": '{"cells": [], "metadata": {}, "nbformat": 4}\n', "README.md": "Use `--epochs`.\n", ".gitignore": "*.ckpt\n", ".gitattributes": "*.py text eol=lf\n"}),
    "tests_and_ci": project(ARGPARSE, files={"tests/test_train.py": "def test():\n    assert True\n", ".github/workflows/ci.yml": "on: push\n", "requirements-dev.txt": "pytest\n", "setup.cfg": "[metadata]\nname = x\n", "Makefile": "all:\n\techo\n"}),
    "credentials_from_environment": project(ARGPARSE + "import os\ntoken = os.environ.get('HF_TOKEN', '')\npassword = os.getenv('PASSWORD')\n", files={"config.yaml": "api_key: ${API_KEY}\npassword: your-password-here\n"}),
    "optional_imports": project(ARGPARSE + "try:\n    import wandb\nexcept ImportError:\n    wandb = None\nif False:\n    import apex\n"),
    "modern_syntax": project(ARGPARSE + "def f(x: int | None) -> str:\n    match x:\n        case None:\n            return ''\n        case _:\n            return f'{x=}'\nif (n := 3) > 2:\n    pass\n"),
    "dev_requirements_named_plainly": project(ARGPARSE, "numpy\n", {"requirements.txt": "-r pip-requirements.txt\nruff\n"}),
    "str2bool": project("import argparse\ndef str2bool(t):\n    return t == 'true'\np = argparse.ArgumentParser()\np.add_argument('--output_path')\np.add_argument('--amp', type=str2bool, default=True)\np.add_argument('--mode', choices=['GRAPH', 'PYNATIVE'])\np.add_argument('--sizes', nargs='+', type=int)\np.parse_args()\n", hyperparameters="{amp: false, mode: GRAPH, sizes: 3}"),
    "requirements_with_everything": project(ARGPARSE, "# tools\nnumpy>=1.24,<3  # arrays\nscipy~=1.11 ; python_version >= '3.9'\n-i https://pypi.tuna.tsinghua.edu.cn/simple\nrequests[socks]==2.32.3 \\\n    --hash=sha256:" + "a" * 64 + "\nthing @ https://example.com/thing-1.0-py3-none-any.whl\n"),
}
