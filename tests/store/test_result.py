"""Results whose columns share names: every value is there under a name of its own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import atlas
from atlas.store.result import names_apart

NAMES = st.lists(st.sampled_from(["a", "b", "a_1", "a_2", "a_1_1", "b_1", ""]), min_size=1, max_size=8)


@given(NAMES)
def test_every_column_has_a_name_of_its_own(names):
    apart = names_apart(names)
    assert len(set(apart)) == len(apart) == len(names)
    for place, (new, old) in enumerate(zip(apart, names, strict=True)):
        assert new == old if old not in names[:place] else new.startswith(f"{old}_")


@pytest.mark.parametrize("query", ["SELECT 1 AS a, 2 AS a", "SELECT 1 AS a, 2 AS a_1, 3 AS a"])
def test_rows_of_a_query(path, query):
    expected = list(range(1, query.count(" AS ") + 1))
    with atlas.open(path) as reader:
        (row,), (streamed,) = reader.sql(query).to_pylist(), reader.stream(query).read_all().to_pylist()
        result = reader.query(query)
    assert list(row.values()) == list(streamed.values()) == expected
    assert result.to_pandas().iloc[0].tolist() == list(result.to_pylist()[0].values()) == expected


def test_ids_beside_nulls_keep_every_digit(path):
    with atlas.open(path) as reader:
        frame = reader.query("SELECT unnest([9007199254740993, NULL]) AS run").to_pandas()
    assert frame["run"].tolist() == [9007199254740993, None]
