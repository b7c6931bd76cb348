"""What went wrong, in the words that a person needs: an exception without its stack."""

import re

_TRACEBACK = "Traceback (most recent call last):"
_RAISED = re.compile(r"^(?:[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt|Failed|Exhausted)|[a-z_]\w*(?:\.\w+)+): ?")
_BEAM_STEP = re.compile(r" \[while running '[^']*'\]")


def headline(error: BaseException) -> str:
    """The exception's message, without stack traces (Beam and TFX put them into messages) and names of steps."""
    text = _BEAM_STEP.sub("", str(error)).strip()
    if _TRACEBACK in text:
        text = _last_raised(text)
    return text or type(error).__name__


def _last_raised(text: str) -> str:
    lines = text.splitlines()
    raised = [index for index, line in enumerate(lines) if _RAISED.match(line)]
    if not raised:
        return lines[-1].strip()
    message = []
    for line in lines[raised[-1] :]:
        if line.startswith((_TRACEBACK, "During handling", "The above exception")):
            break
        message.append(line)
    return _RAISED.sub("", "\n".join(message), count=1).strip() or lines[raised[-1]]
