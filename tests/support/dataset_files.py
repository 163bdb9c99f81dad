"""Small files in the place of a data set's: writing them, reading them as a data set, and how they are refused."""

import hashlib

import pytest

from bench import errors
from bench.data import datasets


def sha256(raw):
    return hashlib.sha256(raw).hexdigest()


def write(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / name).write_bytes(raw)


def load_grey(root, name="mnist", fetch=True):
    return datasets.load_dataset(name, root, "none", None, fetch)


def refused(root, *parts, name="mnist", fetch=True):
    """The message of the DataError, which is one sentence with `parts` in it."""
    with pytest.raises(errors.DataError) as error:
        load_grey(root, name, fetch)
    message = str(error.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert ". " not in message
    for part in parts:
        assert str(part) in message
    return message


def left(root):
    return sorted(path.name for path in root.rglob("*") if path.is_file())
