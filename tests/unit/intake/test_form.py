from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.intake.form import read_form
from trainyard.intake.submissions import SubmitRun
from trainyard.model.errors import InvalidInput
from trainyard.model.ids import new_run_id
from trainyard.model.run import Origin
from trainyard.model.spec import Input
from trainyard.model.text import Text

REQUIRED = {"name": "lenet5", "boot_file": "train.py", "framework": "mindspore-cpu", "flavor": "cpu"}
SHA = "a" * 40
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def read(**fields: str) -> SubmitRun:
    return read_form(urlencode({**REQUIRED, **fields}).encode())


def faults(body: dict[str, str] | bytes) -> dict[str, Text]:
    with pytest.raises(InvalidInput) as caught:
        read_form(body if isinstance(body, bytes) else urlencode(body).encode())
    return {fault["field"]: fault["message"] for fault in caught.value.details["fields"]}


def test_the_least_that_is_needed() -> None:
    request = read()
    assert request.origin is Origin.FORM
    assert (request.name, request.ref, request.commit) == ("lenet5", None, None)
    assert request.spec.output is True
    assert request.spec.aim is False


def test_the_whole_tutorial_by_the_names_of_the_file() -> None:
    request = read(
        **{
            "ref": "main",
            "commit": SHA,
            "code_dir": "train/trainDir",
            "description": "微调",
            "inputs.data_url.dataset": "demo/digits",
            "inputs.data_url.revision": "v1",
            "inputs.data_url.path": "train",
            "inputs.pretrain_url.model": "demo/lenet5",
            "inputs.pretrain_url.path": "lenet.ckpt",
            "hyperparameters.epochs": "10",
            "hyperparameters.lr": "0.010",
            "env.OMP_NUM_THREADS": "1",
            "evaluation.accuracy": ">= 0.9",
            "timeout": "2h",
            "retries": "2",
            "aim_repo": "on",
            "idempotency_key": "k",
        }
    )
    spec = request.spec
    assert (request.ref, request.commit, request.idempotency_key) == ("main", SHA, "k")
    assert spec.boot_path == "train/trainDir/train.py"
    assert spec.inputs["data_url"] == Input(dataset="demo/digits", revision="v1", path="train")
    assert spec.inputs["pretrain_url"] == Input(model="demo/lenet5", path="lenet.ckpt")
    # As it was written: `0.010` must reach the script as `0.010`.
    assert spec.hyperparameters == {"epochs": "10", "lr": "0.010"}
    assert spec.env == {"OMP_NUM_THREADS": "1"}
    assert spec.evaluation.require == {"accuracy": ">= 0.9"}
    assert (spec.timeout, spec.retries, spec.output, spec.aim) == (timedelta(hours=2), 2, True, True)


def test_the_tutorials_own_names() -> None:
    run_id = new_run_id(datetime(2026, 1, 1, tzinfo=UTC))
    request = read(pretrain_url=f"{run_id}/lenet.ckpt", data_url="demo/digits", output_path="on", aim_repo="off")
    assert request.spec.inputs["pretrain_url"] == Input(run=run_id, path="lenet.ckpt")
    assert request.spec.inputs["data_url"] == Input(dataset="demo/digits")
    assert (request.spec.output, request.spec.aim) == (True, False)


def test_a_file_of_a_model_at_a_revision() -> None:
    request = read(pretrain_url="demo/lenet5/ckpt/lenet.ckpt@v1.0")
    assert request.spec.inputs["pretrain_url"] == Input(model="demo/lenet5", path="ckpt/lenet.ckpt", revision="v1.0")


def test_chinese_labels() -> None:
    body = {
        "训练名称": "lenet5",
        "代码目录": "train",
        "启动文件": "train.py",
        "框架版本": "mindspore_1.3.0-cuda_10.1-py_3.7-ubuntu_1804-x86_64",
        "计算资源": "cpu",
        "描述": "手写数字识别",
        "输入模型.pretrain_url": "demo/lenet5/lenet.ckpt",
        "输入数据集.data_url": "demo/digits",
        "超参.epochs": "3",
        "环境变量.OMP_NUM_THREADS": "1",
        "训练输出": "是",
        "自定义评估": "否",
        "评估要求.accuracy": ">= 0.9",
    }
    request = read_form(urlencode(body).encode())
    assert request.name == "lenet5"
    assert request.spec.framework != body["框架版本"]
    assert request.spec.inputs["pretrain_url"] == Input(model="demo/lenet5", path="lenet.ckpt")
    assert request.spec.inputs["data_url"] == Input(dataset="demo/digits")
    assert request.spec.hyperparameters == {"epochs": "3"}
    assert (request.spec.output, request.spec.aim) == (True, False)
    assert request.spec.evaluation.require == {"accuracy": ">= 0.9"}


def test_pairs_as_lines_of_one_field() -> None:
    request = read(hyperparameters="epochs=3\r\n\r\nlr = 0.1\r\n", env="A=x=y")
    assert request.spec.hyperparameters == {"epochs": "3", "lr": "0.1"}
    assert request.spec.env == {"A": "x=y"}


def test_empty_fields_count_as_left_out() -> None:
    request = read(**{"description": "", "timeout": "", "inputs.data_url.dataset": "", "retries": ""})
    assert request.spec.inputs == {}


def test_a_box_that_is_not_ticked() -> None:
    assert read(output="").spec.output is False
    assert read_form(urlencode([*REQUIRED.items(), ("output", "off"), ("output", "on")]).encode()).spec.output is True


def test_every_fault_is_named_as_the_form_named_it() -> None:
    found = faults(
        {
            "训练名称": "two words",
            "boot_file": "../train.sh",
            "framework": "mindspore-cpu",
            "hyperparameters.epochs!": "1",
            "env.AWS_KEY": "x",
            "retries": "many",
            "timeout": "soon",
            "data_url": "digits",
            "boot_fiel": "train.py",
            "output_path": "/obs/out",
        }
    )
    assert {"训练名称", "boot_file", "flavor", "retries", "timeout", "boot_fiel", "output_path", "env"} <= set(found)
    assert "data_url" in found
    assert "boot_file" in found["boot_fiel"].en
    for message in found.values():
        assert message.en
        assert any("\u4e00" <= character <= "\u9fff" for character in message.zh)


def test_a_missing_name_is_said_plainly() -> None:
    assert faults(b"")["name"] == Text(en="This field is required.", zh="此字段为必填项。")


def test_an_argument_twice() -> None:
    body = urlencode([*REQUIRED.items(), ("hyperparameters.epochs", "1"), ("超参.epochs", "2")]).encode()
    assert "超参.epochs" in faults(body)


def test_an_input_of_two_sources() -> None:
    found = faults({**REQUIRED, "inputs.x.dataset": "a/b", "inputs.x.model": "a/b"})
    assert found["inputs.x.model"].zh == "dataset、model、run 和 s3 必须且只能填写一个。"


@pytest.mark.parametrize("ref", ["-x", "a b", "a..b", "a~1", "x.lock", "/a", "a/", "a\nb", "@{u}"])
def test_a_ref_that_git_would_not_take(ref: str) -> None:
    assert "ref" in faults({**REQUIRED, "ref": f"x{ref}" if ref[0] in " \n" else ref})


def test_a_form_that_cannot_be_read() -> None:
    with pytest.raises(InvalidInput):
        read_form(b"name=\xff")
    with pytest.raises(InvalidInput):
        read_form(b"&".join(b"a%d=1" % n for n in range(1000)))


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from(["name", "inputs", "inputs.", "inputs.x", "inputs.x.run", "env.", "超参", "evaluation.a", ".", "data_url.x"]),
                st.text(max_size=12),
            ),
            st.text(max_size=12),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_no_form_crashes(pairs: list[tuple[str, str]]) -> None:
    body = urlencode([*REQUIRED.items(), *pairs], errors="replace").encode()
    with suppress(InvalidInput):
        read_form(body)


def test_several_values_make_a_sweep_and_one_of_its_trainings_an_input() -> None:
    run_id = new_run_id(NOW)
    spec = read(
        **{
            "hyperparameters.lr": "[0.1, 0.01]",
            "hyperparameters.net": "[a,b , c]",
            "hyperparameters.note": "[open",
            "inputs.pretrain_url.run": run_id,
            "inputs.pretrain_url.child": "3",
            "nodes": "1",
            "processes": "auto",
        }
    ).spec
    assert spec.hyperparameters == {"lr": ["0.1", "0.01"], "net": ["a", "b", "c"], "note": "[open"}
    assert spec.inputs["pretrain_url"] == Input(run=run_id, child=3)
    assert (spec.trainings, spec.nodes, spec.processes) == (6, 1, "auto")


@pytest.mark.parametrize(
    ("field", "value", "named", "words"),
    [
        ("hyperparameters.lr", "[1, 1]", "hyperparameters", "twice"),
        ("hyperparameters.lr", "[]", "hyperparameters.lr", "at least one"),
        ("hyperparameters.lr", "[ ]", "hyperparameters.lr", "at least one"),
        ("nodes", "65", "nodes", "64"),
        ("nodes", "two", "nodes", "whole number"),
        ("inputs.data_url.child", "x", "inputs.data_url.child", "whole number"),
    ],
)
def test_faults_of_sweeps_and_nodes_stand_at_their_fields(field: str, value: str, named: str, words: str) -> None:
    more = {"inputs.data_url.run": new_run_id(NOW)} if field.startswith("inputs") else {}
    found = faults({**REQUIRED, **more, field: value})
    assert any(name.startswith(named) and words in text.en for name, text in found.items()), found
