"""What the demo shows: lines as they come, one progress bar, a curve and a table at the end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

# `epoch: 3 step: 44, loss is 0.2` and `Epoch:[  2/ 10], ...`: how far the training has come.
_EPOCH = re.compile(r"[Ee]poch:?\s*\[?\s*(\d+)")
_CURVE_SIZE = (76, 14)


class Screen:
    """Prints to a terminal, or plain lines where there is none."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def step(self, text: str) -> None:
        self.console.print(f"\n[bold cyan]==>[/] [bold]{text}[/]")

    def command(self, text: str) -> None:
        self.console.print(f"  [green]$[/] {text}", markup=True)

    def note(self, text: str) -> None:
        self.console.print("    " + text, markup=False)

    def state(self, at: datetime, since: datetime, state: str, more: str = "") -> None:
        seconds = (at - since).total_seconds()
        self.console.print(f"  [yellow]{seconds:7.2f} s[/]  [bold]{state}[/] {more}")

    def log(self, text: str) -> None:
        """Lines of the training itself, as text and never as markup."""
        for line in text.splitlines():
            self.console.print("    | " + line, markup=False, style="dim")
            self._advance(line)

    def watch_epochs(self, total: int) -> None:
        """Show a bar for `total` epochs until `stop_watching`."""
        columns = (TextColumn("    training"), BarColumn(), TextColumn("epoch {task.completed}/{task.total}"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True)
        self._progress.start()
        self._task = self._progress.add_task("epochs", total=total)

    def stop_watching(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._task = None

    def _advance(self, line: str) -> None:
        match = _EPOCH.search(line)
        if match and self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=int(match[1]))

    def curve(self, name: str, points: Iterable[dict[str, Any]]) -> None:
        import plotext

        pairs = [(point["epoch"] or point["step"], point["value"]) for point in points]
        numbers = [(x, y) for x, y in pairs if isinstance(x, int | float) and isinstance(y, int | float)]
        if not numbers:
            return
        plotext.clear_figure()
        plotext.theme("clear")
        plotext.plot_size(*_CURVE_SIZE)
        plotext.title(f"{name} by epoch")
        plotext.plot([x for x, _ in numbers], [y for _, y in numbers], marker="braille")
        self.console.print(Text.from_ansi(plotext.build()))  # a file gets no escape sequences

    def table(self, title: str, columns: list[str], rows: Iterable[Iterable[object]]) -> None:
        table = Table(title=title, title_justify="left", title_style="bold")
        for column in columns:
            table.add_column(column)
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self.console.print(table)
