"""Runs of a report whose rows a test changes, and how the report ranks them."""

from bench.report.collection.collect import collect, find
from bench.report.page.answer import rankings
from bench.tables.store import write
from tests.support.synthetic_runs import config, runs_row, tables


def collected(root):
    return collect(find([root]))[0]


def by_name(root, **options) -> dict:
    return {r.criterion.name: r for r in rankings(collected(root), **options)}


def run(root, name, seed, *, change=lambda table, row: row, status="done", claims=True, **properties) -> None:
    """One run, each row of its tables changed."""
    row = runs_row(config(name, "bernoulli", seed), name, status=status, unbiased=claims)
    made = {table: [change(table, r) for r in rows] for table, rows in tables(row, **properties).items()}
    write(root / row["run"], made)
