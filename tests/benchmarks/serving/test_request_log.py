from benchmarks.console import wide_console
from benchmarks.serving.request_log import Cost, table


def test_rates_are_compared_turn_by_turn() -> None:
    costs = [Cost(0.0, (1000, 400, 2000), (0.5, 0.7, 0.4)), Cost(0.1, (980, 300, 1900), (0.51, 0.8, 0.41))]
    console = wide_console(80)
    with console.capture() as found:
        console.print(table(costs))
    rows = [line.split() for line in found.get().splitlines() if "%" in line]
    assert rows == [["0%", "1,000", "1.000", "0.500"], ["10%", "980", "0.950", "0.510"]]
