from __future__ import annotations

import pytest

from trainyard.logs.failure import FailureFinder

_HEAD = 'epoch: 1 step: 1, loss is 0.5\nTraceback (most recent call last):\n  File "/job/code/train.py", line 50, in <module>\n    train()\n'
_INSTALLED = (
    '  File "/env/lib/python3.11/site-packages/mindspore/train/model.py", line 1082, in train\n    self._train(epoch)\n'
)


def _reason(log: str, size: int | None = None, **ended):
    finder, data = FailureFinder(), log.encode()
    lines = data.splitlines(keepends=True)
    for line in [data] if size is None else lines:
        finder.feed(line)
    return finder.reason(**ended)


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize(
    ("end", "kind", "words"),
    [
        ("ValueError: labels must be int32\n", "script", "ValueError: labels must be int32"),
        ("KeyboardInterrupt\n", "script", "KeyboardInterrupt"),
        ("mypackage.errors.Broken: x", "script", "mypackage.errors.Broken: x"),
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB\n", "out_of_memory", "smaller batch"),
        ("MemoryError\n", "out_of_memory", "Memory ran out"),
        ("OSError: [Errno 28] No space left on device: 'out/lenet.ckpt'\n", "no_space", "disk is full"),
        (
            "ValueError: In epoch: 1 step: 2, loss is NAN or INF, training process cannot continue\n",
            "nan",
            "learning rate",
        ),
    ],
)
def test_the_exception_and_its_place_in_the_users_code(end, kind, words, size):
    reason = _reason(_HEAD + _INSTALLED + end, size)
    assert (reason.kind, reason.file, reason.line) == (kind, "/job/code/train.py", 50)
    assert words in reason.message.en
    assert reason.message.zh
    assert reason.last_lines[-1] == end.strip()


def test_the_last_of_a_chain_counts():
    log = (
        _HEAD + "KeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\n"
        'Traceback (most recent call last):\n  File "/job/code/data.py", line 7, in load\n    raise Lost() from e\n__main__.Lost: no data\n'
        "some more lines\nat the end\n"
    )
    reason = _reason(log)
    assert (reason.message.en, reason.file, reason.line) == ("__main__.Lost: no data", "/job/code/data.py", 7)


def test_a_syntax_error_names_its_line():
    log = "Traceback (most recent call last):\n  File \"/job/code/train.py\", line 3\n    def train()：\n               ^\nSyntaxError: invalid character '：' (U+FF1A)\n"
    reason = _reason(log)
    assert (reason.file, reason.line) == ("/job/code/train.py", 3)
    assert "U+FF1A" in reason.message.en


@pytest.mark.parametrize("size", [None, 1])
def test_a_stack_of_any_length(size):
    frames = "".join(
        f'  File "/env/lib/python3.11/site-packages/deep.py", line {n}, in f\n    f()\n' for n in range(20_000)
    )
    reason = _reason(_HEAD + frames + "RecursionError: maximum recursion depth exceeded\n", size)
    assert reason.message.en.startswith("RecursionError")
    assert reason.line == 50


def test_multi_line_messages_and_output_after_it():
    reason = _reason(_HEAD + "RuntimeError: first line\n  second line\nthird\n" + "noise\n" * 50_000)
    assert reason.message.en == "RuntimeError: first line"


@pytest.mark.parametrize(
    ("log", "ended", "kind"),
    [
        ("step 1\nKilled\n", {}, "killed"),
        ("step 1\n", {"signal": 9}, "killed"),
        ("step 1\n", {"exit_code": 137}, "killed"),
        ("terminate called after throwing an instance of 'std::bad_alloc'\n", {"signal": 6}, "out_of_memory"),
    ],
)
def test_without_a_traceback(log, ended, kind):
    assert _reason(log, **ended).kind == kind


@pytest.mark.parametrize("log", ["", "all is well\n", "accuracy 0.9\n\n\n", "Killed 3 flies on the way\nand went on\n"])
def test_nothing_found(log):
    assert _reason(log) is None


def test_a_launcher_that_saw_its_child_fail_does_not_hide_why():
    launcher = (
        'Traceback (most recent call last):\n  File "/env/bin/torchrun", line 8, in <module>\n'
        '  File "/env/lib/python3.11/site-packages/torch/distributed/run.py", line 905, in main\n    run(args)\n'
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
    )
    for size in (None, 1):
        reason = _reason(_HEAD + "ValueError: rank 1 saw no data\n" + "noise\n" * 9 + launcher, size, exit_code=1)
        assert (reason.message.en, reason.line) == ("ValueError: rank 1 saw no data", 50)
    assert _reason(launcher, exit_code=1).message.en.endswith("ChildFailedError: ")


@pytest.mark.parametrize("size", [None, 1])
def test_an_exception_that_was_handled_explains_no_machine_that_was_lost(size):
    handled = _HEAD + "ConnectionError: retrying\n" + "epoch: 2 step: 1, loss is 0.4\n" * 500
    assert _reason(handled, size, cut_off=True) is None
    assert _reason(handled, size, exit_code=1).message.en == "ConnectionError: retrying"
    assert _reason(_HEAD + "ValueError: the last words\n", size, cut_off=True).kind == "script"
