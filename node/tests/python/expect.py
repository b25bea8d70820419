"""Expectations that say what was expected and what came."""

import inspect
import time


def eventually(question, what, within_s=5.0):
    """Waits until `question()` is true: for counts that are booked right after the client has its answer."""
    deadline = time.monotonic() + within_s
    while True:
        answer = question()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within_s} s: {what() if callable(what) else what}"
        time.sleep(0.02)


def equal(got, expected, what):
    """Asserts equality and says what differs."""
    assert got == expected, f"{what}: expected {expected!r}, got {got!r}"


def raises(kinds, function):
    """Calls `function` and gives back the exception of one of `kinds` that it must raise."""
    try:
        result = function()
    except kinds as error:
        return error
    names = getattr(kinds, "__name__", kinds)
    raise AssertionError(f"{inspect.getsource(function).strip()}: expected {names}, but it returned {result!r}")


class Stopwatch:
    """How long a block took, in seconds."""

    def __enter__(self):
        self.begun = time.monotonic()
        return self

    def __exit__(self, *_):
        self.s = time.monotonic() - self.begun
