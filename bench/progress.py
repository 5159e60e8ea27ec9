"""A progress bar on stderr, where somebody is watching."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows how much of `total` is done, by the function that it gives; silent off a terminal.

    >>> with progress("training", 100) as done:
    ...     done(50)
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        stride = max(1, total // 100)

        def done(count: int) -> None:
            if count % stride == 0:  # drawing is slower than a step of learning
                bar.update(task, completed=count)

        yield done
