import io
import json

from config.progress import ProgressLine
from trainer.training.progress import Progress, format_metrics


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream):
    progress = Progress(200, 4, done_steps=100, stream=stream, interval=0)
    assert progress.is_due(16)
    progress.show(2, 150, {"retrieval": 6.25})
    progress.end_epoch(3, 150, {"retrieval": 6.25}, {"loss": 0.5})
    return stream.getvalue()


def test_the_time_left_is_that_of_the_steps_left():
    progress = Progress(400, 4, done_steps=200, stream=io.StringIO())
    progress._start -= 4000  # seconds that 100 steps took
    assert progress._left(300) == "1:06:40 left"
    assert progress._left(390) == "3:30 left"


def test_a_file_gets_plain_lines():
    first, second = shown(io.StringIO()).splitlines()
    assert first.startswith("now: epoch 2 of 4, step 150 of 200: retrieval 6.2500; ")
    text, fields = first.split("\t")
    assert text.endswith("examples/s, 0:00 left")
    assert json.loads(fields) == {"epoch": 2, "step": 150, "loss": {"retrieval": 6.25}}
    text, fields = second.split("\t")
    assert text == "progress: epoch 3 of 4: train retrieval 6.2500; eval loss 0.5000; 0:00 left"
    assert json.loads(fields) == {"epoch": 3, "step": 150, "loss": {"retrieval": 6.25}, "metrics": {"loss": 0.5}}


def test_a_loss_that_is_not_finite_is_null_for_programs():
    stream = io.StringIO()
    progress = Progress(10, 1, stream=stream, interval=0)
    progress.end_epoch(1, 5, {"loss": float("nan")}, {})
    assert ProgressLine.parse(stream.getvalue().rstrip("\n")).fields["loss"] == {"loss": None}


def test_a_terminal_has_its_line_written_over():
    text = shown(Terminal())
    assert text.count("\n") == 1
    assert text.startswith("\r\x1b[Kepoch 2 of 4, step")
    assert text.endswith("\r\x1b[Kepoch 3 of 4: train retrieval 6.2500; eval loss 0.5000; 0:00 left\n")


def test_the_line_waits_for_its_interval():
    assert not Progress(10, 1, stream=io.StringIO(), interval=1000).is_due(1)


def test_figures_in_words():
    assert format_metrics({"a": 1.0, "b": 0.25}) == "a 1.0000, b 0.2500"


def test_a_worker_beside_the_chief_prints_nothing():
    stream = io.StringIO()
    progress = Progress(10, 1, stream=stream, interval=0, is_shown=False)
    assert not progress.is_due(1)
    progress.end_epoch(1, 5, {"loss": 0.5}, {})
    assert stream.getvalue() == ""
