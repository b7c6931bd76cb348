import io
import os
import pty
import re
import select
import time

from config.progress import ProgressLine
from pipeline.runners.display import Display, headline

BEAM = """Traceback (most recent call last):
  File "apache_beam/runners/common.py", line 1512, in process
  File "ingest.py", line 3, in read
ValueError: 12 % of the rows are bad:
  missing key: 2

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "worker.py", line 310, in _execute
    response = task()
pipeline.ingest.tables.TableError: 12 % of the rows are bad:
  missing key: 2 [while running 'Read/Parse [CSV]-ptransform-12']

"""


def test_plain_message_is_kept():
    assert headline(ValueError("`k` should be positive.\nReceived: -1")) == "`k` should be positive.\nReceived: -1"


def test_beam_step_is_dropped():
    assert headline(RuntimeError("no such file [while running 'Read']")) == "no such file"


def test_the_last_raised_message_stands_for_a_stack_trace():
    assert headline(RuntimeError(BEAM)) == "12 % of the rows are bad:\n  missing key: 2"


def test_exception_without_message_is_named():
    assert headline(KeyError()) == "KeyError"
    assert headline(RuntimeError("Traceback (most recent call last):\n  File x\nAssertionError\n")) == "AssertionError"


def test_mistakes_of_a_program_keep_their_name():
    assert headline(KeyError("rating")) == "KeyError: 'rating'"
    text = "Traceback (most recent call last):\n  File x\nTypeError: not a number: 'a'\n"
    assert headline(RuntimeError(text)) == "TypeError: not a number: 'a'"
    assert headline(ValueError("`k` should be positive")) == "`k` should be positive"


def test_errors_of_libraries_lose_their_module():
    text = "Traceback (most recent call last):\n  File x\ntensorflow.errors.NotFoundError: no such file"
    assert headline(RuntimeError(text)) == "no such file"


def test_without_a_terminal_there_is_one_line_for_each_finished_component():
    stream = io.StringIO()
    with Display(stream, ["Trainer", "ExampleGen"]) as display:
        for state, metric in (("done", "loss 0.5"), ("cached", "")):
            display.start("Trainer")
            assert 0 <= display.finish(state, metric) < 1
    assert without_clock(stream) == ["Trainer     done        0.0 s  loss 0.5", "Trainer     cached      0.0 s"]


def without_clock(stream: io.StringIO) -> list[str]:
    """The lines, each of which begins with the time of day."""
    lines = [re.fullmatch(r"\d\d:\d\d:\d\d  (.*)", line) for line in stream.getvalue().splitlines()]
    return [line[1] for line in lines]


def test_without_a_terminal_what_a_component_says_is_a_line_and_silence_has_a_heartbeat():
    stream, last = io.StringIO(), [ProgressLine("the last words")]
    said = [[ProgressLine("epoch 1 of 2"), ProgressLine("step 1", is_lasting=False)], *[[]] * 20]
    with Display(stream, ["Trainer"], heartbeat=0.2) as display:
        display.start("Trainer", lambda: "step 5", lambda: said.pop(0) if said else last)
        end = time.monotonic() + 30
        while "the last words" not in stream.getvalue():
            assert time.monotonic() < end
            time.sleep(0.05)
        display.finish("done")
    shown = [re.sub(r" +\d+\.\d s", "", line) for line in without_clock(stream)]
    assert shown[0] == "Trainer  running  epoch 1 of 2"
    assert shown[1] == "Trainer  running  step 5", "nothing was said for long"
    assert shown[-2:] == ["Trainer  running  the last words", "Trainer  done"]
    assert "\r" not in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_colours_are_not_forced_on_a_file(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    test_a_long_metric_stays_on_its_line()
    stream = io.StringIO()
    with Display(stream, ["a"]) as display:
        display.start("a")
        display.finish("failed")
    assert "\x1b" not in stream.getvalue()


def test_a_warning_stands_below_its_component():
    stream = io.StringIO()
    with Display(stream, ["Trainer"]) as display:
        display.start("Trainer")
        display.finish("done")
        display.warn("3 of [30] items " + "word " * 50)
    assert without_clock(stream)[1] == "         warning: 3 of [30] items " + "word " * 50


def test_a_long_metric_stays_on_its_line():
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
