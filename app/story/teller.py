"""Tells what happens, step by step, and remembers whether everything held."""

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text


class Teller:
    """Writes for a reader at a terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, width=110)
        self.broken: list[str] = []

    def step(self, number: int, title: str) -> None:
        """Begin a step of the story."""
        self._console.print(f"\n[bold]{number}. {title}[/bold]")

    def say(self, sentence: str) -> None:
        """One thing that happened."""
        self._console.print(_indented(sentence))

    def holds(self, condition: object, sentence: str) -> None:
        """Something that must be true; the story goes on either way, and its end says which."""
        if condition:
            self._console.print(_indented(f"✓ {sentence}", style="green"))
        else:
            self.broken.append(sentence)
            self._console.print(_indented(f"✗ {sentence}", style="red"))

    def not_yet(self, sentence: str) -> None:
        """Something the story will have once it is built."""
        self._console.print(_indented(f"– {sentence}", style="yellow"))

    def table(self, *columns: str, rows: Iterable[Iterable[object]]) -> None:
        """A few rows."""
        table = Table(*columns, box=None, padding=(0, 2), header_style="dim")
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self._console.print(Padding(table, (0, 0, 0, 3), expand=False))

    def end(self) -> int:
        """Say how it went; returns the exit status."""
        if not self.broken:
            self._console.print("\n[bold green]The story holds.[/bold green]")
            return 0
        self._console.print(
            f"\n[bold red]{len(self.broken)} of the story's promises did not hold:[/bold red]"
        )
        for sentence in self.broken:
            self._console.print(_indented(f"✗ {sentence}", style="red"))
        return 1


def _indented(sentence: str, *, style: str = "") -> Padding:
    return Padding(Text(sentence, style=style), (0, 0, 0, 3), expand=False)
