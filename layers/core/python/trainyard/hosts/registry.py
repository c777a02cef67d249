"""The git hosts by name. Adding one is one file and one line here."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from urllib.parse import urlsplit

from trainyard.hosts.contract import GitHost
from trainyard.model.errors import InvalidInput, NotFound
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
# Hosts that everybody knows by their address; one's own may be any of them.
_PUBLIC = {"github.com": "github", "gitlab.com": "gitlab", "gitee.com": "gitee", "gitea.com": "gitea"}
_PUBLIC |= {"codeberg.org": "forgejo"}


def host_of(clone_url: str) -> str:
    """The name of the git host behind a clone address. InvalidInput where the address does not tell."""
    address = (urlsplit(clone_url).hostname or "").lower()
    if re.fullmatch(r"git-codecommit\.[a-z0-9-]+\.amazonaws\.com(\.cn)?", address):
        return "codecommit"
    if address not in _PUBLIC:
        known = ", ".join(HOSTS)
        raise InvalidInput(
            Text(
                en=f"Say in `host` which git host {address} is: {known}.",
                zh=f"请在 host 中说明 {address} 是哪种 Git 平台：{known}。",
            ),
            details={"field": "host"},
        )
    return _PUBLIC[address]


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
