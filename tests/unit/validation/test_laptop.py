"""The same check on a laptop: a work tree as it would be committed, a commit, and a hook before a push."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainyard.model.errors import InvalidInput
from trainyard.validation.laptop import check_path, install_hook, pushed_refs
from trainyard.validation.render import as_json, as_sarif, as_text
from trainyard.validation.rules.contract import EXAMPLE_SPEC

GIT = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"]


@pytest.fixture
def work_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    root = tmp_path / "project"
    root.mkdir()
    run(root, *GIT, "init", "-q")
    (root / "trainyard.yaml").write_text(EXAMPLE_SPEC)
    (root / "train.py").write_text("print('训练')\n")
    return root


def run(root: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=root, check=False, capture_output=True, text=True, env={**os.environ, **environment}
    )


def commit(root: Path) -> None:
    assert run(root, *GIT, "add", "-A").returncode == 0
    assert run(root, *GIT, "commit", "-q", "-m", "change").returncode == 0


def rules(root: Path, revision: str | None = None) -> list[str]:
    return [finding.rule for finding in check_path(root, revision).findings]


def test_a_work_tree_is_checked_as_it_would_be_committed(work_tree: Path) -> None:
    assert check_path(work_tree).exit_status == 0
    (work_tree / ".gitignore").write_text("*.ckpt\n")
    (work_tree / "ignored.ckpt").write_bytes(bytes(300_000))
    (work_tree / "new.bin").write_bytes(bytes(204_801))
    (work_tree / "link").symlink_to("/etc/passwd")
    report = check_path(work_tree)

    assert [(finding.rule, finding.file) for finding in report.findings] == [
        ("link", "link"),
        ("large-file", "new.bin"),
    ]
    assert report.exit_status == 1


def test_a_commit_is_checked_and_not_what_lies_around_it(work_tree: Path) -> None:
    commit(work_tree)
    (work_tree / "trainyard.yaml").write_text("runs: [")
    assert rules(work_tree, "HEAD") == []
    assert rules(work_tree) == ["run-file-syntax"]
    commit(work_tree)
    assert rules(work_tree, "HEAD") == ["run-file-syntax"]
    assert rules(work_tree, "HEAD~1") == []


def test_a_subfolder_is_its_own_root(work_tree: Path) -> None:
    inside = work_tree / "deep" / "er"
    inside.mkdir(parents=True)
    (inside / "trainyard.yaml").write_text(EXAMPLE_SPEC)
    (inside / "train.py").write_text("x = (\n")
    assert [(finding.file, finding.line) for finding in check_path(inside).findings] == [("train.py", 1)]
    commit(work_tree)
    assert [(finding.file, finding.line) for finding in check_path(inside, "HEAD").findings] == [("train.py", 1)]


def test_a_file_that_was_deleted_is_not_there(work_tree: Path) -> None:
    commit(work_tree)
    (work_tree / "train.py").unlink()
    assert rules(work_tree) == ["boot-file-missing"]


def test_a_folder_without_git_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "trainyard.yaml").write_text(EXAMPLE_SPEC)
    assert rules(tmp_path) == ["boot-file-missing"]


@pytest.mark.parametrize(("path", "revision"), [("nowhere", None), (".", "no-such-commit"), (".", "--help")])
def test_what_cannot_be_checked_says_so(work_tree: Path, path: str, revision: str | None) -> None:
    commit(work_tree)
    with pytest.raises(InvalidInput):
        check_path(work_tree / path, revision)


def test_a_repository_of_another_process_does_not_mislead_it(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent/index")
    assert rules(work_tree) == []


def test_json_is_what_the_documentation_says(work_tree: Path) -> None:
    (work_tree / "trainyard.yaml").write_text(EXAMPLE_SPEC + "    tiemout: 2h\n")
    (work_tree / "big.bin").write_bytes(bytes(204_801))
    printed = json.loads(as_json(check_path(work_tree).findings))

    assert (printed["errors"], printed["warnings"]) == (2, 0)
    large, key = printed["findings"]
    assert set(key) == {"rule", "severity", "file", "line", "column", "message", "fix", "url"}
    assert (key["rule"], key["severity"], key["file"], key["line"], key["column"]) == (
        "run-file-key", "error", "trainyard.yaml", 7, 5,
    )  # fmt: skip
    assert key["fix"] == {"en": "Write `timeout`.", "zh": "请改为 `timeout`。"}
    assert large["line"] is None


def test_sarif_has_what_code_hosts_need(work_tree: Path) -> None:
    (work_tree / "trainyard.yaml").write_text(EXAMPLE_SPEC + "    tiemout: 2h\n")
    (log,) = json.loads(as_sarif(check_path(work_tree).findings))["runs"]

    (result,) = log["results"]
    assert result["level"] == "error"
    location = result["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "trainyard.yaml"
    assert location["region"] == {"startLine": 7, "startColumn": 5}
    assert log["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "run-file-key"


def test_text_cannot_drive_the_terminal(work_tree: Path) -> None:
    (work_tree / "evil\x1b[2J.bin").write_bytes(bytes(204_801))
    findings = check_path(work_tree).findings
    for language in ("en", "zh"):
        assert "\x1b" not in as_text(findings, language)
    assert as_text(findings).endswith("2 errors, 0 warnings.\n")
    assert "\x1b[31m" in as_text(findings, colour=True)


@pytest.fixture
def remote(work_tree: Path, tmp_path: Path) -> Path:
    """A bare repository that the work tree pushes to, with the hook installed."""
    folder = tmp_path / "remote.git"
    run(tmp_path, *GIT, "init", "-q", "--bare", str(folder))
    run(work_tree, *GIT, "remote", "add", "origin", str(folder))
    install_hook(work_tree)
    return folder


def push(root: Path, *what: str) -> subprocess.CompletedProcess[str]:
    """`git push`, with this very program as the one that the hook finds, and no other."""
    source = Path(__file__).parents[3] / "layers/core/python"
    return run(root, *GIT, "push", "-q", *what, PATH="/usr/bin:/bin", PYTHONPATH=str(source))


def test_the_hook_stops_a_push_with_errors(work_tree: Path, remote: Path) -> None:
    commit(work_tree)
    assert push(work_tree, "origin", "main").returncode == 0
    (work_tree / "trainyard.yaml").write_text("runs: [")
    commit(work_tree)

    refused = push(work_tree, "origin", "main")
    assert refused.returncode != 0
    assert "run-file-syntax" in refused.stderr
    assert "refs/heads/main" in refused.stderr
    assert push(work_tree, "--no-verify", "origin", "main").returncode == 0


def test_the_hook_looks_at_what_is_pushed_and_not_at_what_lies_around(work_tree: Path, remote: Path) -> None:
    commit(work_tree)
    (work_tree / "trainyard.yaml").write_text("runs: [")
    assert push(work_tree, "origin", "main").returncode == 0
    commit(work_tree)
    (work_tree / "trainyard.yaml").write_text(EXAMPLE_SPEC)
    assert push(work_tree, "origin", "HEAD~1:refs/heads/other").returncode == 0
    # One bad commit among several refs is enough; a tag of it counts like a branch.
    run(work_tree, *GIT, "tag", "-a", "v1", "-m", "first")
    assert push(work_tree, "origin", "HEAD~1:refs/heads/third", "v1").returncode != 0
    # What goes away, and notes, which start nothing.
    assert push(work_tree, "origin", ":other").returncode == 0
    run(work_tree, *GIT, "notes", "add", "-m", "a note")
    assert push(work_tree, "origin", "refs/notes/commits").returncode == 0


def test_the_hook_does_not_run_what_the_repository_holds(work_tree: Path, remote: Path, tmp_path: Path) -> None:
    for name in ("yaml", "pydantic", "argparse", "trainyard"):
        (work_tree / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    commit(work_tree)
    assert push(work_tree, "origin", "main").returncode == 0
    assert not (tmp_path / "ran").exists()


def test_a_push_goes_on_where_the_check_cannot_be_made(work_tree: Path, remote: Path) -> None:
    hook = work_tree / ".git/hooks/pre-push"
    hook.write_text(hook.read_text().replace(sys.executable, "/nonexistent/python"))
    commit(work_tree)
    pushed = push(work_tree, "origin", "main")
    assert pushed.returncode == 0
    assert "nothing was checked" in pushed.stderr


def test_what_git_says_is_read_as_git_says_it() -> None:
    zero, one = "0" * 40, "1" * 40
    lines = [
        f"refs/heads/a {one} refs/heads/b {zero}\n",
        f"HEAD^{{/a fix}} {one} refs/tags/v1 {zero}\n",
        f"(delete) {zero} refs/heads/gone {one}\n",
        f"refs/notes/commits {one} refs/notes/commits {zero}\n",
        "\n",
    ]
    assert [ref.ref for ref in pushed_refs(lines)] == ["refs/heads/b", "refs/tags/v1"]
    assert pushed_refs([]) == []


def test_a_linked_work_tree_has_the_hook_too(work_tree: Path, remote: Path, tmp_path: Path) -> None:
    (work_tree / "trainyard.yaml").write_text("runs: [")
    commit(work_tree)
    linked = tmp_path / "linked"
    run(work_tree, *GIT, "worktree", "add", "-q", "-b", "side", str(linked))
    assert install_hook(linked).resolve() == (work_tree / ".git/hooks/pre-push").resolve()
    assert "run-file-syntax" in push(linked, "origin", "side").stderr


def test_hooks_that_others_share_are_left_alone(work_tree: Path, tmp_path: Path) -> None:
    run(work_tree, *GIT, "config", "core.hooksPath", str(tmp_path / "shared"))
    with pytest.raises(InvalidInput, match="--pushed"):
        install_hook(work_tree)
    run(work_tree, *GIT, "config", "core.hooksPath", ".githooks")
    assert install_hook(work_tree).resolve() == work_tree / ".githooks/pre-push"


def test_another_hook_is_left_alone(work_tree: Path) -> None:
    hook = work_tree / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(InvalidInput):
        install_hook(work_tree)
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"
