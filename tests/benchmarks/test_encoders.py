import sys

from benchmarks import encoders


def test_every_encoder_in_the_arguments_has_a_row(monkeypatch, capsys):
    small = "--batch 2 --length 4 --dimension 2 --steps 2 --encoder mean gru+decay"
    monkeypatch.setattr(sys, "argv", ["encoders", *small.split()])
    encoders.main()
    printed = capsys.readouterr().out
    assert "batch 2, 4 events, dimension 2" in printed
    # The norm's scale and offset; the GRU's kernels 2 x 2 x 6 and biases 6 + 2, four rates and a mixture of 8 x 2.
    rows = [line.replace("│", " ").split() for line in printed.splitlines() if "│" in line]
    assert [row[:2] for row in rows] == [["mean", "4"], ["gru+decay", str(4 + 24 + 8 + 4 + 16)]]
    assert all(float(metric) > 0 for row in rows for metric in row[2:])
