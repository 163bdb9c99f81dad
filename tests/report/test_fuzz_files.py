"""Whatever happens to the files of a run or of a report, reading gives what was written or one sentence."""

import json
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.report.collection.collect import collect, find
from bench.report.collection.saved import DIGESTS, read_saved, stem, write_tables
from bench.tables.schema import SCHEMA, TABLES
from bench.tables.store import MARKER, SchemaError, read, write
from tests.support.damaged import one_sentence, whole

FILES = [MARKER, *(f"{name}.parquet" for name in TABLES)]


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


@settings(max_examples=40)
@given(name=st.sampled_from([*(f"{stem(name)}.parquet" for name in TABLES), DIGESTS]), damage=damages())
def test_no_damaged_table_of_a_report_gives_another_number(tmp_path_factory, ran, name, damage):
    _, original = ran
    folder = tmp_path_factory.getbasetemp() / "report"
    folder.mkdir(exist_ok=True)
    write_tables(original, folder, as_csv=False)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(damage(content))
    try:
        found = read_saved(folder)
    except SchemaError as error:
        found, said = None, error
    assert found == [original] or one_sentence(said)
    assert found is None or damage(content) == content or name == DIGESTS


def test_an_incomplete_run_is_not_read_as_a_report(tmp_path, ran):
    shutil.copytree(ran[0] / "a", tmp_path / "a")
    (tmp_path / "a" / MARKER).unlink()
    assert find([tmp_path / "a", tmp_path]) == []
    with pytest.raises(SchemaError, match="None of the run directories can be read"):
        collect([tmp_path / "a"])
