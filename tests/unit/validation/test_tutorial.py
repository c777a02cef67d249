"""What the tutorial itself writes: its faults are found, and what it adapted runs."""

from __future__ import annotations

from data.validation.tutorial import ADAPTED_SCRIPT, ORIGINAL_SCRIPT, REQUIREMENTS

from trainyard.model.finding import Severity
from trainyard.validation.engine import check
from trainyard.validation.snapshot import MemorySnapshot

RUN_FILE = """\
runs:
  lenet5:
    code_dir: train/trainDir
    boot_file: train.py
    framework: mindspore-cpu
    flavor: cpu
    inputs:
      pretrain_url: {model: demo/lenet5, path: lenet-1_1875.ckpt}
      data_url: {dataset: demo/mnist}
"""
MENDED = "mindspore==2.7.0\nnumpy<2\n" + REQUIREMENTS.split("\n", 1)[1]


def found(**files: str) -> list[tuple[str, str, int | None]]:
    tree = {
        "trainyard.yaml": RUN_FILE,
        **{f"train/trainDir/{name.replace('__', '.').replace('_', '-')}": text for name, text in files.items()},
    }
    return [(one.rule, one.severity.value, one.line) for one in check(MemorySnapshot(tree))]


def test_the_original_script_has_its_full_width_colon() -> None:
    assert found(train__py=ORIGINAL_SCRIPT, pip_requirements__txt=MENDED) == [("full-width-punctuation", "error", 12)]


def test_the_adapted_script_and_its_own_requirements() -> None:
    assert found(train__py=ADAPTED_SCRIPT, pip_requirements__txt=REQUIREMENTS) == [
        ("mindvision-mindspore", "error", 1),
        ("numpy-2", "error", 2),
        ("download", "warning", 45),
    ]


def test_the_adapted_script_runs_with_mended_requirements() -> None:
    assert found(train__py=ADAPTED_SCRIPT, pip_requirements__txt=MENDED) == [("download", "warning", 45)]


def test_the_tutorials_file_name_is_told_where_another_is_used() -> None:
    tree = {
        "trainyard.yaml": RUN_FILE,
        "train/trainDir/train.py": ADAPTED_SCRIPT,
        "train/trainDir/requirements.txt": MENDED,
    }
    errors = [one for one in check(MemorySnapshot(tree)) if one.severity is Severity.ERROR]
    assert [(one.rule, one.file) for one in errors] == [("requirements-name", "train/trainDir/requirements.txt")]
    assert "git mv train/trainDir/requirements.txt train/trainDir/pip-requirements.txt" in errors[0].fix.en
