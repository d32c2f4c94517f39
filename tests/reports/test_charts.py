"""A chart's bars stand for their counts."""

from hypothesis import given
from hypothesis import strategies as st

from atlas.reports.cells import shown
from atlas.reports.charts import TALLEST, layer_chart

COUNTS = st.integers(1, 12).flatmap(
    lambda layers: st.dictionaries(
        st.sampled_from(["en", "zh", "<b>", ""]), st.tuples(*[st.integers(0, 10**6)] * layers), min_size=1
    )
)


@given(COUNTS)
def test_bars_are_proportional_and_inside_the_picture(counts):
    chart = layer_chart(counts, "LIKN")
    for strip, row in zip(chart.strips, counts.values(), strict=True):
        assert len(strip.bars) == sum(count > 0 for count in row)
        for bar, count in zip(strip.bars, [count for count in row if count], strict=True):
            assert abs(bar.height - TALLEST * count / max(row)) < 0.01
            assert abs(bar.y + bar.height - strip.base) < 0.02
            assert chart.left <= bar.x
            assert bar.x + bar.width <= chart.right + 0.02
        assert strip.base <= chart.height


def test_only_the_shared_strip_is_set_off():
    chart = layer_chart({"en": [1, 0], "LIKN": [0, 1]}, "LIKN")
    assert [strip.shared for strip in chart.strips] == [False, True]
    assert chart.strips[0].bars[0].hint == "en, layer 0: 1 of 1 (100%)"


def test_numbers_as_readers_want_them():
    assert [shown(value) for value in (None, True, 12345, 0.12345, 1234.5, 1e-5, 0.0)] == [
        "–", "yes", "12,345", "0.123", "1,234", "1.00e-05", "0.00"
    ]  # fmt: skip
