import io

from trainer.progress import Progress, format_figures


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown(stream):
    progress = Progress(200, done_steps=100, stream=stream, interval=0)
    assert progress.is_due(16)
    progress.show(2, 150, {"retrieval": 6.25})
    progress.end_epoch(2, {"loss": 0.5})
    return stream.getvalue()


def test_a_file_gets_plain_lines():
    first, second = shown(io.StringIO()).splitlines()
    assert first.startswith("epoch 2 step 150/200 retrieval 6.2500 ")
    assert first.endswith("examples/s, 0:00 left")
    assert second == "epoch 2: loss 0.5000"


def test_a_terminal_has_its_line_written_over():
    text = shown(Terminal())
    assert text.count("\n") == 1
    assert text.startswith("\r\x1b[Kepoch 2 step")
    assert text.endswith("\r\x1b[Kepoch 2: loss 0.5000\n")


def test_the_line_waits_for_its_interval():
    assert not Progress(10, stream=io.StringIO(), interval=1000).is_due(1)


def test_figures_in_words():
    assert format_figures({"a": 1.0, "b": 0.25}) == "a 1.0000, b 0.2500"


def test_a_worker_beside_the_chief_prints_nothing():
    stream = io.StringIO()
    progress = Progress(10, stream=stream, interval=0, is_shown=False)
    assert not progress.is_due(1)
    progress.end_epoch(1, {"loss": 0.5})
    assert stream.getvalue() == ""
