import os
import re
import subprocess
import sys

import pytest

from config.progress import ProgressLine, say
from pipeline.runners.capture import LogFollower, captured


def shout(word: str) -> None:
    os.write(1, f"{word} one\n".encode())
    os.write(2, f"{word} two\n".encode())
    subprocess.run(["sh", "-c", f"echo {word} child"], check=True)


def test_descriptors_and_children_write_to_the_file_and_come_back(tmp_path, capfd):
    log = tmp_path / "logs" / "run.log"
    with captured(log) as terminal:
        shout("inside")
        print("for a person", file=terminal, flush=True)
    shout("outside")
    assert log.read_text() == "inside one\ninside two\ninside child\n"
    assert capfd.readouterr() == ("for a person\noutside one\noutside child\n", "outside two\n")


def test_what_python_writes_has_the_time(tmp_path):
    log = tmp_path / "run.log"
    with captured(log):
        print("one", end=" ")
        print("line\n\nand another")
        sys.stderr.write("an error\r")
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
    assert re.fullmatch(f"{stamp}one line\n\n{stamp}and another\n{stamp}an error\r", log.read_bytes().decode())


def test_what_components_say_is_read_in_the_log(tmp_path, capfd):
    log = tmp_path / "run.log"
    log.write_text("progress: of the component before\n")
    said = LogFollower(log)
    assert (said.newest(), said.news()) == ("", [])
    with captured(log):
        say("epoch 1 of 2")
        print("now: epoch 2 of 2, step 5\nnothing of progress: here")
    assert said.newest() == "epoch 2 of 2, step 5"
    assert [(line.text, line.is_lasting) for line in said.news()] == [
        ("epoch 1 of 2", True),
        ("epoch 2 of 2, step 5", False),
    ]
    with log.open("ab") as file:
        file.write(b"progress: of a ch")
    assert said.news() == []
    with log.open("ab") as file:
        file.write(b"ild\n")
    assert (said.news(), said.news()) == ([ProgressLine("of a child")], [])


def test_verbose_shows_the_file_on_the_terminal_too(tmp_path, capfd):
    with captured(tmp_path / "run.log", verbose=True):
        shout("inside")
    assert capfd.readouterr().out == "inside one\ninside two\ninside child\n"


def test_descriptors_come_back_after_an_error(tmp_path, capfd):
    with pytest.raises(ValueError, match="wrong"), captured(tmp_path / "run.log"):
        raise ValueError("wrong")
    shout("outside")
    assert capfd.readouterr().out == "outside one\noutside child\n"
