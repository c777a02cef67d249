"""Steps 3, 4 and 5 of the tutorial, word for word, with real git and git-lfs."""

from __future__ import annotations

import os
from pathlib import Path

from unit.githost.little_stack import LittleStack, Person, needs_git_lfs

from trainyard.model.repository import RepositoryKind


def clone(stack: LittleStack, person: Person, name: str) -> Path:
    user = name.split("/", maxsplit=1)[0]
    person.remember(stack.address(name, user, stack.token(user)))
    person.run(f"git clone {stack.address(name)}")
    return person.home / name.split("/")[1]


def test_step_3_code_goes_into_a_project(stack: LittleStack, person: Person) -> None:
    stack.create("ada/lenet5")
    work = clone(stack, person, "ada/lenet5")
    code = work / "train" / "trainDir"
    code.mkdir(parents=True)
    (code / "train.py").write_text("print('training')\n")
    (code / "pip-requirements.txt").write_text("mindspore\n")
    for command in ("git add .", 'git commit -m "xxx"', "git push"):
        person.run(command, work)
    person.run(f"git clone {stack.address('ada/lenet5')} again")
    assert (person.home / "again/train/trainDir/train.py").read_text() == "print('training')\n"


@needs_git_lfs
def test_step_4_a_checkpoint_goes_into_a_model(stack: LittleStack, person: Person) -> None:
    stack.create("ada/lenet5-model", RepositoryKind.MODEL)
    work = clone(stack, person, "ada/lenet5-model")
    checkpoint = os.urandom(3_000_000)
    (work / "lenet-1_1875.ckpt").write_bytes(checkpoint)
    for command in ("git lfs install", 'git lfs track "*.ckpt"', "cat .gitattributes", "git add ."):
        person.run(command, work)
    person.run('git commit -m "xxx"', work)
    person.run("git push", work)
    person.run(f"git clone {stack.address('ada/lenet5-model')} again")
    assert (person.home / "again/lenet-1_1875.ckpt").read_bytes() == checkpoint
    assert len(list(stack.state.objects.find("lfs/ada/lenet5-model/"))) == 1


@needs_git_lfs
def test_step_5_a_data_set_goes_into_a_data_set_repository(stack: LittleStack, person: Person) -> None:
    stack.create("ada/mnist", RepositoryKind.DATASET)
    work = clone(stack, person, "ada/mnist")
    contents = {
        "test/t10k-images-idx3-ubyte": os.urandom(400_000),
        "test/t10k-labels-idx1-ubyte": os.urandom(10_000),
        "train/train-images-idx3-ubyte": os.urandom(800_000),
        "train/train-labels-idx1-ubyte": os.urandom(60_000),
        "datasets/folder/large": os.urandom(300_000),
    }
    for path, content in contents.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_bytes(content)
    tracked = ("*ubyte", "datasets/**", "datasets/*")
    commands = ["git lfs install", *(f'git lfs track "{pattern}"' for pattern in tracked), "cat .gitattributes"]
    for command in (*commands, "git add .", 'git commit -m "xxx"', "git push"):
        person.run(command, work)
    person.run(f"git clone {stack.address('ada/mnist')} again")
    assert {path: (person.home / "again" / path).read_bytes() for path in contents} == contents
