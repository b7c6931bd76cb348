import os
import subprocess

import pytest

from pipeline.runners.capture import captured


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


def test_verbose_shows_the_file_on_the_terminal_too(tmp_path, capfd):
    with captured(tmp_path / "run.log", verbose=True):
        shout("inside")
    assert capfd.readouterr().out == "inside one\ninside two\ninside child\n"


def test_descriptors_come_back_after_an_error(tmp_path, capfd):
    with pytest.raises(ValueError, match="wrong"), captured(tmp_path / "run.log"):
        raise ValueError("wrong")
    shout("outside")
    assert capfd.readouterr().out == "outside one\noutside child\n"
