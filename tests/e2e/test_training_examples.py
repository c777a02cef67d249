"""The tutorial's trainings for real: MindSpore is installed, LeNet-5 learns the digits, and is fine-tuned.

Needs a package index, about 6 GB of disk and, the first time, some minutes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.runner.rig import RUN_ID, Rig

from infra.local.examples.digits import write_digits
from trainyard.model.request import PinnedInput
from trainyard.model.result import Ending
from trainyard.model.spec import RunFile
from trainyard.store import layout

pytest_plugins = ["unit.runner.conftest"]
pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "infra" / "local" / "examples"
ACCURACY = re.compile(r"'accuracy': (?:np\.float64\()?([\d.]+)")
LIMIT_SECONDS = 900


@pytest.fixture
def digits(rig: Rig, tmp_path: Path) -> PinnedInput:
    files = write_digits(tmp_path / "digits")
    return rig.put_input("data_url", {str(path.relative_to(tmp_path / "digits")): path.read_bytes() for path in files})


def test_lenet5_learns_digits_and_is_fine_tuned_from_its_checkpoint(rig: Rig, digits: PinnedInput) -> None:
    _train(rig, "lenet5", [digits])
    first = rig.result()
    accuracies = [float(value) for value in ACCURACY.findall(rig.printed())]
    assert len(accuracies) == 10
    assert accuracies[-1] > 0.9
    assert "mindspore==2.10.0" in first.packages
    checkpoints = [file.path for file in first.outputs if re.fullmatch(r"lenet-\d+_\d+\.ckpt", file.path)]
    assert len(checkpoints) == 3

    checkpoint = rig.put_input("pretrain_url", {"lenet.ckpt": rig.output(checkpoints[-1])}, is_file=True)
    rig.objects.delete_prefix("runs/")
    _train(rig, "lenet5", [checkpoint, digits], hyperparameters={"epochs": 2})
    assert rig.result().environment_cached
    assert "starting from lenet.ckpt" in rig.printed()
    tuned = [float(value) for value in ACCURACY.findall(rig.printed())]
    assert min(tuned) > 0.9


def test_mindvision_runs_as_the_tutorial_uses_it(rig: Rig, digits: PinnedInput) -> None:
    checkpoint = _mindvision_checkpoint(rig)
    _train(rig, "mindvision", [checkpoint, digits])
    losses = [float(value) for value in re.findall(r"loss:\[[\d.]+/([\d.]+)\]", rig.printed())]
    assert len(losses) == 10
    assert losses[-1] < losses[0]
    assert any(file.path.endswith(".ckpt") for file in rig.result().outputs)


def _mindvision_checkpoint(rig: Rig) -> PinnedInput:
    """A checkpoint of mindvision's own LeNet, saved by the same packages that will load it."""
    code = EXAMPLES / "mindvision" / "train" / "trainDir"
    rig.request(
        "import sys, mindspore\n"
        "from mindvision.classification.models import lenet\n"
        "mindspore.save_checkpoint(lenet(num_classes=10, pretrained=False), sys.argv[2] + '/lenet.ckpt')\n",
        files={"train/pip-requirements.txt": (code / "pip-requirements.txt").read_bytes()},
        framework="mindspore-cpu",
    )
    assert rig.start().wait(LIMIT_SECONDS) == 0, rig.log().decode(errors="replace")
    content = rig.output("lenet.ckpt")
    rig.objects.delete_prefix("runs/")
    return rig.put_input("pretrain_url", {"lenet.ckpt": content}, is_file=True)


def _train(rig: Rig, example: str, inputs: list[PinnedInput], **changed: Any) -> None:
    """Run the example as its trainyard.yaml says, but for what is `changed`, through the container's entry point."""
    folder = EXAMPLES / example
    # The base loader leaves `on` the word that it is; YAML 1.1 reads it as true.
    spec = RunFile.model_validate(yaml.load((folder / "trainyard.yaml").read_text(), yaml.BaseLoader)).runs[example]
    files = {
        str(path.relative_to(folder)): path.read_bytes() for path in (folder / "train").rglob("*") if path.is_file()
    }
    told = spec.model_dump(mode="json", exclude={"inputs"}) | changed
    rig.request("", files=files, inputs=inputs, **told)
    exit_code = rig.start().wait(LIMIT_SECONDS)
    assert exit_code == 0, rig.log().decode(errors="replace")
    assert rig.result().ending is Ending.SUCCEEDED
    assert rig.objects.size(layout.result_key(RUN_ID, 1))
