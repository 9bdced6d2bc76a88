"""Items that are computed one step ahead."""

import threading

import pytest

from components.raster.ahead import one_ahead, several_ahead


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


def test_as_many_are_made_at_once_as_asked_for_and_they_keep_their_order():
    both = threading.Barrier(2, timeout=30)  # breaks unless two threads wait at it

    def make(number):
        both.wait()
        return number

    assert list(several_ahead(make, iter_of(4), 2)) == [0, 1, 2, 3]


def test_an_error_of_one_comes_after_what_is_made_of_those_before_it():
    def make(number):
        if number == 1:
            raise OSError("no answer")
        return number

    closed = []
    found = several_ahead(make, iter_of(4, closed), 2)
    assert next(found) == 0
    with pytest.raises(OSError, match="no answer"):
        next(found)
    assert closed == [True]


def test_few_items_are_taken_ahead():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    found = several_ahead(str, items(), 2)
    assert next(found) == "0"
    assert len(taken) == 3  # this one, and two that are made
    found.close()


def iter_of(count, closed=None):
    try:
        yield from range(count)
    finally:
        if closed is not None:
            closed.append(True)
