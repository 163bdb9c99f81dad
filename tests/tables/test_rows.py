from typing import get_args, get_type_hints

import pytest

from bench.tables import rows
from bench.tables.schema import BOOL, FLOAT, INT, TABLES, TEXT

KINDS = {TEXT: str, INT: int, FLOAT: float, BOOL: bool}
TYPES = {
    "runs": rows.RunRow,
    "objective": rows.ObjectiveRow,
    "gradient": rows.GradientRow,
    "cost": rows.CostRow,
    "choices": rows.ChoiceRow,
}


def test_every_table_has_a_type_of_row():
    assert TYPES.keys() == TABLES.keys()


@pytest.mark.parametrize("table", TABLES)
def test_the_type_of_a_row_has_the_columns_of_its_table(table):
    hints, columns = get_type_hints(TYPES[table]), TABLES[table]
    assert list(hints) == list(columns)
    for name, column in columns.items():
        kinds = set(get_args(hints[name]) or (hints[name],))
        assert kinds - {type(None)} == {KINDS[column.type]}, name
        assert not (column.required and type(None) in kinds), f"{name} is required"
