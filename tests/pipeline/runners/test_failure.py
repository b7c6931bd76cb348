from pipeline.runners.display import headline

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
