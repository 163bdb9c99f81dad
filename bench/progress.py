"""A progress bar on standard error, where one run owns the terminal."""

from contextlib import contextmanager


@contextmanager
def progress_bar(description: str, total: int, shown: bool):
    """Yields `advance(done, doing)`, which does nothing where the bar is not shown."""
    if not shown:
        yield lambda done, doing="": None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("[dim]{task.fields[doing]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total, doing="")
        yield lambda done, doing="": bar.update(task, completed=done, doing=doing)
