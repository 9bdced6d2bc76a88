"""Items made a step ahead of the one that is worked on."""

import threading

import pytest

from pipelines.prediction.ahead import one_ahead


def test_the_next_item_is_made_while_one_is_worked_on():
    made = threading.Event()

    def items():
        yield "first"
        made.set()
        yield "second"

    found = one_ahead(items())
    assert next(found) == "first"
    assert made.wait(timeout=30)
    assert list(found) == ["second"]


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise OSError("unreadable")

    found = one_ahead(items())
    assert next(found) == 1
    with pytest.raises(OSError, match="unreadable"):
        next(found)


def test_a_generator_is_closed_in_the_thread_that_ran_it():
    threads = []

    def items():
        threads.append(threading.get_ident())
        try:
            yield from range(100)
        finally:
            threads.append(threading.get_ident())

    found = one_ahead(items())
    next(found)
    found.close()
    first, last = threads
    assert first == last != threading.get_ident()
