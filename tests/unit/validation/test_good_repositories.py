"""The rule's authors' mistakes count too: no good repository is refused."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from data.validation.good_repositories import FOLDERS, REPOSITORIES

from trainyard.model.finding import Severity
from trainyard.validation.arguments import accepted_arguments
from trainyard.validation.engine import check
from trainyard.validation.run_file.reading import read_run_file
from trainyard.validation.snapshot import MemorySnapshot
from trainyard.validation.view import RunView

ALL: dict[str, Mapping[str, str | bytes]] = {**FOLDERS, **REPOSITORIES}
# Whose arguments can be read off the code; for the others nothing may be said.
DECIDED = {
    "dcgan_example", "fire_functions", "forecast_statsmodels", "graph_geometric", "hf_dataclass_only", "keras_text",
    "mindcv_finetune", "mindspore_lenet", "mindvision_adapted", "paddle_ocr", "rl_cleanrl_argparse", "sklearn_click",
    "src_layout", "tensorflow_absl_modules", "torch_ddp", "torch_imagenet", "torchaudio_keywords", "transformers_lora",
    "two_stage_pipeline", "xgboost_typer",
}  # fmt: skip


def test_there_are_enough_of_them() -> None:
    assert len(FOLDERS) >= 40
    assert len(ALL) == len(FOLDERS) + len(REPOSITORIES)


@pytest.mark.parametrize("name", ALL)
def test_no_error_is_found(name: str) -> None:
    found = check(MemorySnapshot(ALL[name]))
    assert [(one.rule, one.file, one.line, one.message.en) for one in found if one.severity is Severity.ERROR] == []


def test_warnings_are_few_and_meant() -> None:
    warned = {(name, one.rule, one.file) for name, files in FOLDERS.items() for one in check(MemorySnapshot(files))}
    assert warned == {
        ("dcgan_example", "lfs-pattern", ".gitattributes"),
        ("dcgan_example", "download", "main.py"),
        ("mindvision_adapted", "download", "train/trainDir/train.py"),
        ("yolo_opt", "download", "utils/general.py"),
    }


@pytest.mark.parametrize("name", FOLDERS)
def test_arguments_are_read_where_they_can_be(name: str) -> None:
    snapshot = MemorySnapshot(FOLDERS[name])
    run_file = read_run_file(snapshot)
    for run in run_file.runs:
        view = RunView.of_file(snapshot, run, run_file)
        assert accepted_arguments(view.scripts).decided is (name in DECIDED)
