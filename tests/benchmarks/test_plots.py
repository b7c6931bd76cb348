import pytest
from matplotlib import pyplot

from benchmarks.plots import PAGE, PLOTS, number, read_table


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_reads_its_table_and_is_shown(name, page):
    draw, size = PLOTS[name]
    figure, axes = pyplot.subplots(figsize=size)
    draw(axes, page)
    pyplot.close(figure)
    assert axes.has_data()
    assert f"(images/{name}.svg)" in page
    assert (PAGE.parent / "images" / f"{name}.svg").is_file()


def test_a_table_that_is_not_marked_is_named(page):
    with pytest.raises(KeyError, match="nowhere"):
        read_table(page, "nowhere")


@pytest.mark.parametrize(
    ("cell", "expected"), [("**.147** ± .003", 0.147), ("1.30, 1.89", 1.3), ("1,198", 1198), ("16", 16)]
)
def test_the_first_number_of_a_cell_counts(cell, expected):
    assert number(cell) == expected
