"""A person at a laptop: a folder, real git and git-lfs, an access token, the API."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from trainyard.cli.client import Client

# A push of the data set on a slow disk; far more than any of these needs.
COMMAND_SECONDS = 120


class CommandFailedError(RuntimeError):
    """A command of the demo's user did not work; the message holds what it printed."""


class User:
    """All happens in `folder`, with a home of its own: the machine's git settings are neither read nor changed."""

    def __init__(self, name: str, token: str, api_url: str, folder: Path) -> None:
        self.name = name
        self.api = Client(api_url, token)
        self.token = token
        self.folder = folder
        self._home = folder / ".home"
        self._home.mkdir(parents=True, exist_ok=True)
        self.git("config", "--global", "user.name", name)
        self.git("config", "--global", "user.email", f"{name}@example.org")
        self.git("config", "--global", "init.defaultBranch", "main")
        self.git("lfs", "install", "--skip-repo")

    def clone(self, clone_url: str) -> Path:
        """`git clone`, with user name and token where git asks for them; the work tree."""
        self._remember_token(clone_url)
        target = self.folder / clone_url.rsplit("/", 1)[1].removesuffix(".git")
        shutil.rmtree(target, ignore_errors=True)
        self.git("clone", "--quiet", clone_url, str(target))
        return target

    def push(self, tree: Path, message: str) -> tuple[str, str]:
        """Commit everything in the work tree and push it: the commit, and what git said."""
        self.git("add", ".", at=tree)
        self.git("commit", "--quiet", "--message", message, at=tree)
        said = self.git("push", "--quiet", "origin", "HEAD:main", at=tree)
        return self.git("rev-parse", "HEAD", at=tree).strip(), said

    def git(self, *words: str, at: Path | None = None) -> str:
        """Run git and return what it printed. CommandFailedError with its words if it did not work."""
        done = subprocess.run(
            ["git", *words],
            cwd=at or self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=COMMAND_SECONDS,
        )
        if done.returncode:
            raise CommandFailedError(f"git {' '.join(words)}\n{done.stdout}")
        return done.stdout

    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self._home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C.UTF-8",
        }

    def _remember_token(self, clone_url: str) -> None:
        # git's own store, as a person would set it up; without it git-lfs asks again and again.
        parts = urllib.parse.urlsplit(clone_url)
        credentials = self._home / ".git-credentials"
        credentials.touch(mode=0o600)
        credentials.write_text(f"{parts.scheme}://{self.name}:{self.token}@{parts.netloc}\n")
        self.git("config", "--global", "credential.helper", "store")
