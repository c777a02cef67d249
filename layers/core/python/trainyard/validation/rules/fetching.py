"""The commit could not be had, or is more than is looked at."""

from __future__ import annotations

from typing import ClassVar

from trainyard.model.finding import Finding
from trainyard.model.text import Text
from trainyard.validation.rules.contract import NotedRule
from trainyard.validation.view import Place


class CommitUnavailable(NotedRule):
    id: ClassVar[str] = "commit-unavailable"
    title = Text(en="The commit cannot be read", zh="无法读取该提交")
    explanation = Text(
        en="A run executes exactly the commit that was submitted, fetched from the registered address. The commit may "
        "be gone (a force push), the access token may be wrong, objects may be damaged, or the repository may be "
        "larger than a project with training code is.",
        zh="训练只会执行所提交的那个提交，并从登记的地址获取。提交可能已不存在（强制推送）、访问令牌可能有误、"
        "对象可能损坏，或仓库远大于一个只含训练代码的项目。",
    )
    needs_platform = True

    @classmethod
    def unregistered(cls) -> Finding:
        return cls.finding(
            Place(),
            Text(en="The project is not registered any more.", zh="该项目已不再登记。"),
            Text(en="Register it again, then submit the run again.", zh="请重新登记该项目，然后再次提交训练。"),
        )
