from __future__ import annotations

from results.ranking.table import default_columns, table_width


def test_wide_characters_take_two_cells() -> None:
    columns = default_columns()[:2]
    latin = table_width(columns, [["1", "a" * 12]])
    assert table_width(columns, [["1", "\u97f3\u697d" * 6]]) == latin + 12
