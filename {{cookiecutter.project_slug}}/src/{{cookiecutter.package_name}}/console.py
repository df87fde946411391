"""What people read: aligned, quiet, coloured only on a terminal; and the same as JSON for machines.

Tables and bars are imported where they are drawn: most verbs start without them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(line: str = "", style: str | None = None) -> None:
    """One line for people, printed as it is: square brackets are not markup."""
    out.print(Text(line, style=style or ""))


def painted(pieces: Sequence[tuple[str, str]]) -> None:
    """One line of pieces, each a text and its style."""
    out.print(Text.assemble(*pieces))


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """Indented pairs, the second column aligned."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        say(f"  {name:<{width}}  {value}")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> None:
    """A table without lines; columns named in ``right`` are right-aligned."""
    from rich.table import Table

    grid = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for head in heads:
        grid.add_column(head, justify="right" if head in right else "left", no_wrap=head != heads[-1], overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    out.print(grid)


def runnable(text: str) -> str:
    """``ml verb`` as it is typed where uv is the only tool."""
    return re.sub(r"(?<![\w./-])ml (?=[a-z]+\b)", "uv run ml ", text)


def following(*commands: str) -> None:
    """The commands to type next."""
    for position, command in enumerate(commands):
        say(f"{'next:' if position == 0 else '     '} {runnable(command)}", "cyan")


def machine(value: Any) -> None:
    """``value`` as JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()


def failure(message: str, hint: str | None) -> None:
    """An error, on stderr."""
    err.print(Text("error: ", style="bold red") + Text(message, style=""))
    if hint:
        err.print(Text(f" hint: {runnable(hint)}", style="cyan"))


@contextmanager
def progress(total: int, what: str) -> Generator[Callable[[str], None]]:
    """A bar on a terminal, nothing elsewhere. The yielded function advances it and says where it is."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=total)

        def advance(where: str) -> None:
            bar.update(task, advance=1, description=f"{what} {where}")

        yield advance


@contextmanager
def working(what: str) -> Generator[Callable[[str], None]]:
    """A spinner on a terminal for work of unknown length. The yielded function says what is being done."""
    if not err.is_terminal:
        yield lambda _: None
        return
    with err.status(what) as status:
        yield lambda step: status.update(f"{what}: {step}")
