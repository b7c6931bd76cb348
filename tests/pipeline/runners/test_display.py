import io
import os
import pty
import re
import select
import time

from pipeline.runners.display import Display


def test_without_a_terminal_there_is_one_line_for_each_finished_component():
    stream = io.StringIO()
    with Display(stream, ["Trainer", "ExampleGen"]) as display:
        for state, figure in (("done", "loss 0.5"), ("cached", "")):
            display.start("Trainer")
            assert 0 <= display.finish(state, figure) < 1
    assert stream.getvalue() == "Trainer     done        0.0 s  loss 0.5\nTrainer     cached      0.0 s\n"


def test_a_warning_stands_below_its_component():
    stream = io.StringIO()
    with Display(stream, ["Trainer"]) as display:
        display.start("Trainer")
        display.finish("done")
        display.warn("3 of [30] items " + "word " * 50)
    assert stream.getvalue().splitlines()[1] == "         warning: 3 of [30] items " + "word " * 50


def test_a_long_figure_stays_on_its_line():
    stream = io.StringIO()
    with Display(stream, ["a"]) as display:
        display.start("a")
        display.finish("done", "word " * 50 + "end")
    assert stream.getvalue().count("\n") == 1


def test_a_terminal_shows_the_running_component_with_time_and_progress():
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal, Display(terminal, ["Trainer"]) as display:
        display.start("Trainer", lambda: "epoch 3")
        shown = read_until(master, r"Trainer  .*running.* [1-9]\d*\.\d s  epoch 3")
        display.finish("done")
        shown += read_until(master, "done")
    os.close(master)
    assert shown.index("running") < shown.index("done")


def read_until(terminal: int, pattern: str, seconds: float = 30) -> str:
    """What the terminal shows, up to the pattern."""
    shown, end = "", time.monotonic() + seconds
    while not re.search(pattern, shown):
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 100_000).decode()
    return shown


def test_a_terminal_that_is_not_live_shows_finished_lines_only():
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal, Display(terminal, ["Trainer"], live=False) as display:
        display.start("Trainer")
        time.sleep(0.3)
        display.finish("done")
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert "running" not in shown
