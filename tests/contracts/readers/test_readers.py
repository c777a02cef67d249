"""The contract of metric readers, for every one that is registered, on output that was captured from the real thing."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from trainyard.logs import metrics as scanning
from trainyard.logs.metrics import MetricScanner
from trainyard.logs.readers import REGISTRY, new_reader
from trainyard.model.metric import Metrics

LOGS = Path(__file__).parents[2] / "data" / "logs"


def scan(data: bytes, size: int | None = None) -> Metrics:
    scanner = MetricScanner()
    for start in range(0, len(data), size or max(len(data), 1)):
        scanner.feed(data[start : start + (size or len(data))])
    return scanner.finish()


def values(metrics: Metrics, name: str) -> list[float]:
    return [point.value for group in metrics.groups for point in group.series.get(name, [])]


def epochs(metrics: Metrics, name: str) -> list[float | None]:
    return [point.epoch for group in metrics.groups for point in group.series.get(name, [])]


@pytest.mark.parametrize("name", REGISTRY)
def test_every_reader_keeps_the_contract(name):
    reader = new_reader(name)
    assert reader.name == name
    for form in reader.forms():
        assert (
            form.pattern.pattern.startswith((b"\\n", b"[:=]"))
            or form.pattern.pattern[:1].isalpha()
            or reader.fallback
            or form.pattern.pattern.startswith(b"\\{")
        )
        assert form.pattern.search(b"\n\nno metric here\n") is None


@pytest.mark.parametrize("path", sorted(LOGS.glob("*.log")), ids=lambda path: path.name)
@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_where_the_log_is_cut_makes_no_difference(path, size, monkeypatch):
    monkeypatch.setattr(scanning, "_BLOCK", 0)
    data = path.read_bytes()
    if "lightning" in path.name:  # its metrics follow the bar on lines of their own
        assert set(scan(data, size).names()) == set(scan(data).names())
    else:
        assert scan(data, size).to_dict() == scan(data).to_dict()


@pytest.mark.parametrize("seed", range(20))
def test_no_reader_is_upset_by_damaged_output(seed):
    chance = random.Random(seed)
    data = bytearray(b"".join(path.read_bytes() for path in sorted(LOGS.glob("*.log"))))
    for _ in range(300):
        data[chance.randrange(len(data))] = chance.randrange(256)
    Metrics.from_json(scan(bytes(data), 999).to_json())


def test_mindspore():
    metrics = scan((LOGS / "lenet5_pretrain_ms2.10_graph.log").read_bytes())
    assert len(metrics.groups) == 1
    assert values(metrics, "loss")[0] == 1.6322816610336304
    assert epochs(metrics, "loss") == list(range(1, 11))
    assert values(metrics, "epoch_time")[-1] == 502.075
    assert values(metrics, "mean_step_time")[-1] == 11.411
    assert values(metrics, "val_accuracy")[-1] == 0.975
    assert epochs(metrics, "val_accuracy") == list(range(1, 11))
    assert values(metrics, "accuracy") == [0.08888888888888889, 0.975]
    assert epochs(metrics, "accuracy") == [None, 10]


def test_mindspore_eval_result_and_first_versions():
    log = (
        b"epoch: 1 step: 22, loss is 2.3055334\nepoch time: 1066.566 ms, per step time: 24.240 ms\n"
        b"Train epoch time: 502.075 ms, per step time: 11.411 ms (data time: 1.5 ms)\n"
        b"Eval epoch time: 50.5 ms, per step time: 1.5 ms\n"
        b"Eval result: epoch 1, metrics: {'accuracy': np.float64(0.76), 'loss': np.float32(0.72)}\n"
        b"Eval result: epoch 2, metrics: {'Top_1_Accuracy': 0.77, 'loss': 1e-05}\n"
    )
    metrics = scan(log)
    assert values(metrics, "epoch_time") == [1066.566, 502.075]
    assert values(metrics, "eval_epoch_time") == [50.5]
    assert values(metrics, "accuracy") == [0.76]
    assert values(metrics, "top_1_accuracy") == [0.77]
    assert values(metrics, "eval_loss") == [0.72, 1e-05]
    assert epochs(metrics, "eval_loss") == [1, 2]


def test_mindvision_counts_epochs_from_0_in_one_monitor_and_from_1_in_the_other():
    metrics = scan((LOGS / "mindvision_ValAccMonitor_ms2.0.0.log").read_bytes())
    assert len(metrics.groups) == 1
    assert values(metrics, "loss") == [2.306, 2.302, 2.290, 2.301, 2.319, 2.309]
    assert values(metrics, "mean_loss") == [2.304, 2.307, 2.303, 2.305, 2.302, 2.307]
    assert epochs(metrics, "loss") == [1, 1, 2, 2, 3, 3]
    assert values(metrics, "accuracy") == [0.091, 0.080, 0.105]
    assert epochs(metrics, "accuracy") == [1, 2, 3]
    assert values(metrics, "learning_rate") == [0.05] * 6
    assert values(metrics, "step_time")[0] == 14.531
    assert epochs(metrics, "epoch_time") == [1, 2, 3]


def test_the_validation_metric_may_have_any_name():
    metrics = scan(b"Epoch: [  1 /  10], Train Loss: [0.400], Top 5 Recall:  9.12e-1\n")
    assert values(metrics, "top_5_recall") == [0.912]


def test_not_a_number():
    metrics = scan((LOGS / "nan.log").read_bytes())
    assert any(math.isnan(value) for value in values(metrics, "loss"))
    again = Metrics.from_json(metrics.to_json())
    assert math.isnan(values(again, "mean_loss")[0])
    assert b'"NaN"' in metrics.to_json()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e-05", 1e-05),
        ("-3.5E+2", -350.0),
        ("0.000", 0.0),
        ("inf", math.inf),
        ("-inf", -math.inf),
        (".5", 0.5),
        ("7", 7.0),
        ("1.", 1.0),
    ],
)
@pytest.mark.parametrize(
    "line", ["epoch: 1 step: 2, loss is %s", "Epoch:[  0/  1], step:[   1/   44], loss:[%s/  0.1], time:1.0 ms, lr:0.1", "loss: %s", '{"loss": 1, "epoch": 1} loss=%s']
)  # fmt: skip
def test_every_way_of_writing_a_number(line, text, number):
    metrics = scan((line % text).encode())
    assert values(metrics, "loss") == [number]


def test_keras_takes_the_last_drawing_of_each_epoch():
    for name in ("keras_verbose1.log", "keras_verbose2.log"):
        metrics = scan((LOGS / name).read_bytes())
        assert values(metrics, "loss") == [2.1897, 1.8916]
        assert values(metrics, "val_accuracy") == [0.5639, 0.7472]
        assert epochs(metrics, "accuracy") == [1, 2]


def test_hugging_face_with_and_without_quotes_and_behind_a_progress_bar():
    metrics = scan((LOGS / "hf_trainer.log").read_bytes())
    assert values(metrics, "loss") == [1.95, 1.159, 0.6726, 0.5178]
    assert epochs(metrics, "eval_loss") == [1, 2]
    assert len(metrics.groups) == 1
    old = scan(
        b"\r 50%|\xe2\x96\x88\xe2\x96\x88     | 10/20 [00:01<00:01, 9.5it/s]{'loss': 2.0034, 'grad_norm': 0.61, "
        b"'learning_rate': 0.008, 'epoch': 0.43}\n\r100%|\xe2\x96\x88| 20/20 [00:02<00:00]\n"
    )
    assert values(old, "loss") == [2.0034]
    assert epochs(old, "loss") == [0.43]


def test_lightning():
    metrics = scan((LOGS / "lightning.log").read_bytes())
    assert (values(metrics, "train_loss"), values(metrics, "val_acc")) == ([0.072], [0.867])
    assert epochs(metrics, "val_acc") == [2]
    bar = "".join(
        f"\rEpoch {epoch}:  {done}%|███| {done * 23 // 100}/23 [00:01<00:00, 19.84it/s, v_num=1, train_loss={1 / (epoch + 1)}, val_acc=0.850]"
        for epoch in (0, 1)
        for done in (50, 100, 100)
    )
    metrics = scan(bar.encode())
    assert values(metrics, "train_loss") == [1.0, 0.5]
    assert epochs(metrics, "train_loss") == [1, 2]
    assert "v_num" not in metrics.names()


def test_ultralytics():
    metrics = scan(
        b"      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n"
        b"\r        1/2         0G      5.133      4.653      3.158         16         64:  50% ----- 5/10\n"
        b"\r        1/2         0G      5.033      4.553      3.058         16         64: 100% ----- 10/10\n"
        b"                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100% -- 1/1\n"
        b"                   all          4         17      0.612       0.51      0.555     0.4001\n"
    )
    assert values(metrics, "box_loss") == [5.033]
    assert values(metrics, "mAP50-95(B)") == [0.4001]
    assert epochs(metrics, "P(B)") == [1]


def test_mindcv():
    metrics = scan(
        b"[2024-01-01 00:00:00] mindcv INFO - Epoch: [2/10], batch: [100/500], loss: 0.1, lr: 0.01, time: 1.5s\n"
    )
    assert values(metrics, "loss") == [0.1]
    assert epochs(metrics, "loss") == [2]
    assert values(metrics, "time") == [1500.0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("epoch 3 | val accuracy: 0.95", {"val_accuracy": (0.95, 3)}),
        ("Epoch [4/10], Loss: 0.123, Test Acc: 97.5 %", {"loss": (0.123, 4), "test_acc": (0.975, 4)}),
        ("2024-01-01 12:00:00 INFO root loss=0.3 acc=0.9", {"loss": (0.3, None), "acc": (0.9, None)}),
        ("Test Error: Accuracy: 64.5%, Avg loss: 1.073", {"accuracy": (0.645, None), "avg_loss": (1.073, None)}),
        ('{"epoch": 2, "step": 10, "loss": 0.3, "name": "x"}', {"loss": (0.3, 2)}),
        ('{"epoch": 2, "loss": NaN, "f1": "Infinity"}', {"f1": (math.inf, 2)}),
        ("train/loss=0.5 val/loss=0.6", {"train_loss": (0.5, None), "val_loss": (0.6, None)}),
    ],
)
def test_lines_that_people_print(line, expected):
    metrics = scan(line.encode())
    for name, (value, epoch) in expected.items():
        assert values(metrics, name) == [value]
        assert epochs(metrics, name) == [epoch]


@pytest.mark.parametrize(
    "line",
    [
        "Total params: 4.8 K", "12:30:45 started", "Modules in train mode: 4", "loss weights: 3", "port=8080", "steps per epoch: 44",
        "Collecting numpy==1.26.4", "loaded out/lenet-10_44.ckpt", "accuracy: high", "http://host:80/loss", "loss: 1.2.3",
        "End of validation the best Accuracy is:  0.105, save the best ckpt file in out/va37/best.ckpt",
    ],
)  # fmt: skip
def test_lines_that_measure_nothing(line):
    assert scan(line.encode()).names() == []


def test_numbers_of_a_monitor_however_they_are_padded():
    line = b"Epoch:[  0/  2], step:[    1/ 1875], loss:[nan  /-0.5 ], time:24.944 ms, lr:1e-05\n"
    metrics = scan(line)
    assert math.isnan(values(metrics, "loss")[0])
    assert (values(metrics, "mean_loss"), epochs(metrics, "mean_loss")) == ([-0.5], [1])
    assert values(metrics, "learning_rate") == [1e-05]


def test_a_share_is_a_number_and_a_position_is_none():
    metrics = scan(b"Test set: Average loss: 0.0283, Accuracy: 9906/10000 (99%)\nloss: 3/10\nacc: 1/0\n")
    assert (values(metrics, "accuracy"), values(metrics, "average_loss")) == ([0.9906], [0.0283])
    assert metrics.names() == ["average_loss", "accuracy"]


def test_a_bar_that_a_script_draws_itself_counts_its_steps_once():
    bar = b"\repoch 1:  %d%%|##  | %d/100 [00:01<00:00, loss=%.2f]"
    metrics = scan(b"".join(bar % (step, step, 1 / (step + 1)) for step in (1, 50, 50, 100, 100)) + b"\n")
    assert [(p.step, p.value) for p in metrics.groups[0].series["loss"]] == [(1, 0.5), (50, 0.02), (100, 0.01)]


@pytest.mark.parametrize(
    "said", ["Training with batch size: {}, learning rate: {}, momentum: {}", "batch_size={} lr={} momentum={}"]
)
def test_what_a_sweep_says_of_each_training(said):
    settings = [(32, 0.1, 0.9), (32, 0.01, 0.9), (64, 0.1, 0.9)]
    log = "".join(f"{said.format(*one)}\nepoch 1 lr: {one[1]} loss: 0.5\nepoch 2 loss: 0.4\n" for one in settings)
    assert [group.parameters for group in scan(log.encode()).groups] == [
        {"batch_size": size, "learning_rate": rate, "momentum": momentum} for size, rate, momentum in settings
    ]
    assert scan(b"epoch 1 with lr: 0.1\nepoch 2 with lr: 0.01\n").groups[0].parameters == {}
