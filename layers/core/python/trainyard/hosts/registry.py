"""The git hosts by name. Adding one is one file and one line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from trainyard.hosts.contract import GitHost
from trainyard.model.errors import NotFound
from trainyard.model.text import Text

# Dotted paths, so that a function imports only the host it serves.
HOSTS = {
    "github": "trainyard.hosts.github:GitHub",
    "gitlab": "trainyard.hosts.gitlab:GitLab",
    "gitea": "trainyard.hosts.gitea:Gitea",
    "forgejo": "trainyard.hosts.gitea:Forgejo",
    "gitee": "trainyard.hosts.gitee:Gitee",
    "codecommit": "trainyard.hosts.codecommit:CodeCommit",
}


@cache
def host(name: str) -> GitHost:
    """The git host of that name. NotFound if there is none."""
    if name not in HOSTS:
        known = ", ".join(HOSTS)
        raise NotFound(
            Text(
                en=f"There is no git host {name!r} here. Known ones: {known}.",
                zh=f"此处没有名为 {name!r} 的 Git 平台。可用的有：{known}。",
            )
        )
    module, _, class_name = HOSTS[name].partition(":")
    made: GitHost = getattr(import_module(module), class_name)()
    return made
