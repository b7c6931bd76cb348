import io
import os
import pty
import time

from pipeline.runners.display import Display


def test_without_a_terminal_there_is_one_line_for_each_finished_component():
    stream = io.StringIO()
    with Display(stream, ["Trainer", "ExampleGen"]) as display:
        for state, figure in (("done", "loss 0.5"), ("cached", "")):
            display.start("Trainer")
            assert 0 <= display.finish(state, figure) < 1
    assert stream.getvalue() == "Trainer     done        0.0 s  loss 0.5\nTrainer     cached      0.0 s\n"


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
        time.sleep(0.7)
        display.finish("done")
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert "running" in shown
    assert "0.5 s  epoch 3" in shown
    assert "done" in shown


def test_a_terminal_that_is_not_live_shows_finished_lines_only():
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal, Display(terminal, ["Trainer"], live=False) as display:
        display.start("Trainer")
        time.sleep(0.3)
        display.finish("done")
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert "running" not in shown
