"""Whatever happens to the files of a run, reading gives what was written or one sentence, never another number."""

import csv
import json
import math
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.collect import collect, save
from bench.schema import BOOL, FLOAT, INT, SCHEMA, TABLES, TEXT
from bench.tables import MARKER, SchemaError, read, write
from tests.synthetic_runs import config, runs_row
from tests.synthetic_runs import tables as synthetic

FILES = [MARKER, *(f"{name}.parquet" for name in TABLES)]
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
    save(found, folder, as_csv=True)
    for name, table in found.items():
        with open(folder / f"{name}.csv", newline="", encoding="utf-8") as file:
            header, *lines = csv.reader(file)
        assert header == table.column_names
        for line, expected in zip(lines, table.to_pylist(), strict=True):
            for text, (column, value) in zip(line, expected.items(), strict=True):
                assert same(text, value), (name, column)


def same(text, value):
    """Whether the text of a cell is the value; nothing is null."""
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


def whole(seed=0):
    """All tables of an ordinary run."""
    return synthetic(runs_row(config("rloo", "bernoulli", seed), "rloo"))


def one_sentence(error):
    said = str(error)
    return said.endswith(".") and len(said.splitlines()) == 1


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Two run directories, and the tables of the first."""
    folder = tmp_path_factory.mktemp("ran")
    write(folder / "a", whole())
    write(folder / "b", whole(1))
    return folder, read(folder / "a")


def unharmed(folder, original):
    """Whether the directory reads as it was written, where it can be read at all; else there is one sentence."""
    try:
        found = read(folder)
        refused = None
    except SchemaError as error:
        refused = error
    if refused:
        assert one_sentence(refused)
        with pytest.raises(SchemaError, match="None of the run directories") as told:
            collect([folder])
        assert one_sentence(told.value)
        return False
    assert found == original
    return True


@st.composite
def damages(draw):
    """What may happen to the bytes of a file: flips, a lost end, something at its end, another content, a hole."""
    kind = draw(st.sampled_from(["flip", "cut", "append", "other", "zeros"]))
    at, byte, more = draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 255)), draw(st.binary(min_size=1))

    def damage(content: bytes) -> bytes:
        i = int(at * len(content))
        match kind:
            case "flip":
                return content[:i] + bytes([content[i] ^ byte]) + content[i + 1 :]
            case "cut":
                return content[:i]
            case "append":
                return content + more
            case "zeros":
                return content[:i] + bytes(len(content) - i)
        return more

    return damage


@settings(max_examples=150)
@given(name=st.sampled_from(FILES), damage=damages())
def test_no_damaged_file_gives_another_number(tmp_path_factory, ran, name, damage):
    source, original = ran
    folder = tmp_path_factory.getbasetemp() / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source / "a", folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(damage(content))
    changed = damage(content) != content
    assert unharmed(folder, original) or changed
    assert not (changed and name != MARKER and unharmed(folder, original))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("other", ["the same of another run", "another table", "a folder"])
def test_no_other_file_passes_for_the_runs_own(tmp_path, ran, name, other):
    source, original = ran
    shutil.copytree(source / "a", tmp_path / "a")
    file = tmp_path / "a" / name
    match other:
        case "a folder":
            file.unlink()
            file.mkdir()
        case "another table":
            shutil.copy(source / "a" / FILES[FILES.index(name) - 1], file)
        case _:
            shutil.copy(source / "b" / name, file)
    assert not unharmed(tmp_path / "a", original)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from([SCHEMA, "runs"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=80)
@given(key=st.sampled_from(["run", "status", "schema", "tables", "more", None]), value=JSON)
def test_no_edited_marker_gives_another_number(tmp_path_factory, ran, key, value):
    source, original = ran
    folder = tmp_path_factory.getbasetemp() / "edited"
    shutil.copytree(source / "a", folder, dirs_exist_ok=True)
    marker = json.loads((source / "a" / MARKER).read_text())
    (folder / MARKER).write_text(json.dumps(value if key is None else marker | {key: value}))
    unharmed(folder, original)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"schema": ' + "9" * 5000 + "}", "\xff"])
def test_a_marker_that_no_parser_likes(tmp_path, ran, text):
    source, original = ran
    shutil.copytree(source / "a", tmp_path / "a")
    (tmp_path / "a" / MARKER).write_bytes(text.encode("latin-1"))
    assert not unharmed(tmp_path / "a", original)


def test_a_table_that_the_marker_hides_is_missed(tmp_path, ran):
    source, original = ran
    shutil.copytree(source / "a", tmp_path / "a")
    marker = json.loads((source / "a" / MARKER).read_text())
    del marker["tables"]["gradient"]
    (tmp_path / "a" / MARKER).write_text(json.dumps(marker))
    assert not unharmed(tmp_path / "a", original)
