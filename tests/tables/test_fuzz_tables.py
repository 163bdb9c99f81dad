"""Any rows are written and read as they are, or refused in a sentence; the CSV twin says the same."""

import csv
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.collection.saved import stem, write_tables
from bench.tables.schema import BOOL, FLOAT, INT, TABLES, TEXT
from bench.tables.store import SchemaError, read, write
from tests.support.damaged import one_sentence, whole

WORDS = st.text(max_size=8) | st.sampled_from(["", "0", "nan", 'a,"b"\n', "é漢🙂", "x" * 70_000, "\0", " NULL "])
VALUES = {
    TEXT: WORDS,
    INT: st.integers(-(2**63), 2**63 - 1),
    FLOAT: st.floats() | st.integers(-(2**80), 2**80),
    BOOL: st.booleans(),
}


def row(table, **fixed):
    """Any row that the schema allows, with these values in it."""
    cells = {}
    for name, column in TABLES[table].items():
        values = st.sampled_from(column.choices) if column.choices else VALUES[column.type]
        cells[name] = values if column.required else st.none() | values
    return st.fixed_dictionaries(cells | {name: st.just(value) for name, value in fixed.items()})


@st.composite
def runs(draw):
    """All tables of a run, some of them without a row."""
    return {"runs": [draw(row("runs", config="{}"))]} | {
        name: draw(st.lists(row(name), max_size=2)) for name in TABLES if name != "runs"
    }


def stored(table, rows):
    """The rows as they come back: NaN is a missing value, and a number in a column of floats is one."""
    kinds = {name: column.type for name, column in TABLES[table].items()}
    return [
        {
            name: None
            if isinstance(value, float) and math.isnan(value)
            else float(value)
            if kinds[name] == FLOAT and value is not None
            else value
            for name, value in r.items()
        }
        for r in rows
    ]


@settings(max_examples=25)
@given(runs())
def test_any_rows_come_back_as_they_were(tmp_path_factory, made):
    folder = tmp_path_factory.mktemp("any")
    write(folder, made)
    found = read(folder)
    assert {name: table.to_pylist() for name, table in found.items()} == {n: stored(n, r) for n, r in made.items()}
    write_tables(found, folder, as_csv=True)
    for name, table in found.items():
        with open(folder / f"{stem(name)}.csv", newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
        assert header == table.column_names
        for line, expected in zip(lines, table.to_pylist(), strict=True):
            for text, (column, value) in zip(line, expected.items(), strict=True):
                assert same(text, value), (name, column)


def same(text, value):
    """Whether the text of a cell is the value; nothing is null, and a formula begins with an apostrophe."""
    if isinstance(value, str) and value.lstrip()[:1] in ("=", "+", "-", "@"):
        return text in (f"'{value}", value)
    if value is None or isinstance(value, str):
        return text == (value or "")
    return text == str(value).lower() if isinstance(value, bool) else type(value)(text) == value


@settings(max_examples=60)
@given(
    table=st.sampled_from([*TABLES]),
    data=st.data(),
    value=st.text() | st.floats() | st.integers() | st.booleans() | st.none() | st.binary() | st.just([]),
)
def test_any_value_is_written_or_refused_in_a_sentence(tmp_path_factory, table, data, value):
    column = data.draw(st.sampled_from([*TABLES[table]]))
    made = whole()
    made[table][0][column] = value
    folder = tmp_path_factory.getbasetemp() / "written"
    try:
        write(folder, made)
        refused = None
    except SchemaError as error:
        refused = error
    if refused:
        assert one_sentence(refused)
        assert column in str(refused)
    else:
        assert read(folder)[table].to_pylist()[0][column] == stored(table, [{column: value}])[0][column]


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, "\ud800", 10**400])
def test_what_no_file_can_hold_is_refused_in_a_sentence(tmp_path, value):
    made = whole()
    made["objective"][0]["elbo" if value == 10**400 else "split" if isinstance(value, str) else "step"] = value
    with pytest.raises(SchemaError, match="cannot hold") as error:
        write(tmp_path / "run", made)
    assert one_sentence(error.value)
    assert not (tmp_path / "run").exists()
