"""What keeps an input from being pinned, and what that means for its description."""

from __future__ import annotations

from trainyard.model.text import Text

MAX_FILES = 20_000
"""Files of one input: all of them are listed in the request that the runner reads."""
SMALLER = Text(
    en="Put large files under Git LFS and pack many small files into one archive.",
    zh="请用 Git LFS 管理大文件，并把大量小文件打包成一个归档。",
)


class InputFault(Exception):
    """An input that cannot be pinned. `part`: the key of the input's description that is to blame."""

    def __init__(self, rule_id: str, part: str, message: Text, fix: Text) -> None:
        super().__init__(message.en)
        self.rule_id, self.part, self.message, self.fix = rule_id, part, message, fix
