"""Signals wait for what must not be torn."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from airflow_provider_sms.signals import HELD, held_signals


@pytest.fixture
def heard():
    """Handlers that write down what they get; everything is put back at the end."""
    got: list[int] = []
    before = {signum: signal.getsignal(signum) for signum in HELD}
    for signum in HELD:
        signal.signal(signum, lambda number, _: got.append(number))
    yield got
    signal.setitimer(signal.ITIMER_REAL, 0)
    for signum, handler in before.items():
        signal.signal(signum, handler)


def _send(*signums: int):
    for signum in signums:
        os.kill(os.getpid(), signum)


def _fail_in_a_block_after(signum):
    with held_signals():
        _send(signum)
        raise ZeroDivisionError


@pytest.mark.parametrize("signum", HELD, ids=lambda signum: signum.name)
def test_a_signal_waits_for_the_end_of_the_block(heard, signum):
    with held_signals():
        _send(signum)
        time.sleep(0.01)
        assert heard == []
    assert heard == [signum]


def test_they_are_delivered_in_the_order_of_arrival(heard):
    """Also when that is not the order of their numbers."""
    with held_signals():
        _send(signal.SIGTERM, signal.SIGALRM, signal.SIGINT)
        assert heard == []
    assert heard == [signal.SIGTERM, signal.SIGALRM, signal.SIGINT]


def test_each_is_delivered_once(heard):
    with held_signals():
        _send(signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGTERM)
    assert heard == [signal.SIGTERM, signal.SIGINT]


def test_without_a_signal_nothing_is_delivered(heard):
    with held_signals():
        pass
    assert heard == []


def test_handlers_are_put_back_exactly(heard):
    """Python's handlers, the default and "ignore" alike."""
    handlers = (lambda *_: None, signal.SIG_DFL, signal.SIG_IGN)
    for signum, handler in zip(HELD, handlers, strict=True):
        signal.signal(signum, handler)
    with held_signals():
        pass
    assert tuple(signal.getsignal(signum) for signum in HELD) == handlers
    assert heard == []


def test_an_ignored_signal_stays_ignored(heard):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with held_signals():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        _send(signal.SIGTERM)
    assert heard == []


def test_a_handler_that_python_cannot_put_back_is_left_alone(heard, monkeypatch):
    """``getsignal`` gives None for a handler that some C library installed."""
    real = signal.getsignal
    monkeypatch.setattr(
        signal, "getsignal", lambda number: None if number == signal.SIGALRM else real(number)
    )
    with held_signals():
        _send(signal.SIGALRM)
        assert heard == [signal.SIGALRM]


def test_a_default_that_ends_the_process_ends_it_after_the_block():
    script = """
        import os, signal
        from airflow_provider_sms.signals import held_signals
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with held_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            print("block done", flush=True)
        print("never", flush=True)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, check=False)  # noqa: S603
    assert done.stdout == b"block done\n"
    assert done.returncode == -signal.SIGTERM


def test_an_interrupt_comes_after_the_block(heard):
    """The default handler of SIGINT raises; everything in the block is done by then."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    done = []

    def work():
        with held_signals():
            _send(signal.SIGINT)
            done.append("block")
        done.append("behind")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["block"]
    assert heard == []


def test_nested_blocks_deliver_at_the_outermost_end(heard):
    with held_signals():
        with held_signals():
            _send(signal.SIGTERM)
        _send(signal.SIGINT)
        assert heard == []
    assert heard == [signal.SIGTERM, signal.SIGINT]


def test_the_exception_of_the_block_goes_on_and_the_signal_is_delivered(heard):
    with pytest.raises(ZeroDivisionError):
        _fail_in_a_block_after(signal.SIGTERM)
    assert heard == [signal.SIGTERM]


def test_an_ordinary_exception_of_a_handler_does_not_hide_the_one_of_the_block(heard):
    """It is named in a note, without its text."""

    def handler(_number, _frame):
        msg = "canary"
        raise LookupError(msg)

    signal.signal(signal.SIGALRM, handler)
    with pytest.raises(ZeroDivisionError) as raised:
        _fail_in_a_block_after(signal.SIGALRM)
    assert raised.value.__notes__ == ["A signal that was held back meanwhile raised LookupError."]
    assert heard == []


def test_what_stops_a_program_is_not_swallowed_with_the_exception_of_the_block(heard):
    """Airflow's time-out is no ``Exception``; who handles the block's failure must not lose it."""

    class TaskTimeout(BaseException):
        pass

    def handler(_number, _frame):
        raise TaskTimeout

    signal.signal(signal.SIGALRM, handler)
    with pytest.raises(TaskTimeout) as raised:
        _fail_in_a_block_after(signal.SIGALRM)
    assert isinstance(raised.value.__context__, ZeroDivisionError)
    assert heard == []


def test_a_handler_that_raises_does_not_keep_the_others_from_being_called(heard):
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), held_signals():
        _send(signal.SIGINT, signal.SIGTERM)
    assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGALRM) is not None


def test_a_blocking_read_goes_on_as_if_nothing_had_come(heard):
    """PEP 475: the interrupted system call is resumed, and keeps its time-out."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(5)
        threading.Timer(0.15, theirs.sendall, [b"late"]).start()
        signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
        with held_signals():
            assert ours.recv(10) == b"late"
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert heard == []
    assert heard == [signal.SIGALRM]


def test_a_resumed_read_still_ends_at_its_time_out(heard):
    """Signals every few milliseconds don't prolong it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0.2)
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        started = time.monotonic()
        with held_signals():
            with pytest.raises(TimeoutError):
                ours.recv(10)
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert time.monotonic() - started < 1
    assert heard == [signal.SIGALRM]


def test_other_threads_do_not_get_in_the_way(heard):
    """The system may hand a signal to any thread; Python's handler still runs in the main one."""
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    with held_signals():
        signal.pthread_kill(threads[0].ident, signal.SIGTERM)
        time.sleep(0.05)
        assert heard == []
    stop.set()
    for thread in threads:
        thread.join()
    assert heard == [signal.SIGTERM]


def test_outside_of_the_main_thread_it_does_nothing(heard):
    before = [signal.getsignal(signum) for signum in HELD]
    seen = []

    def work():
        with held_signals():
            seen.append([signal.getsignal(signum) for signum in HELD])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
    assert heard == []


def test_none_of_many_signals_is_lost_or_torn(heard):
    """A timer fires at any moment: in the block, on its edges and between blocks."""
    in_block = []
    inside = False

    def handler(number, _):
        in_block.append(inside)
        heard.append(number)

    signal.signal(signal.SIGALRM, handler)
    for round_ in range(300):
        count = len(heard)
        signal.setitimer(signal.ITIMER_REAL, 0.0001 + round_ % 10 * 0.00002)
        with held_signals():
            inside = True
            sum(range(2000))
            inside = False
        limit = time.monotonic() + 2
        while len(heard) == count and time.monotonic() < limit:
            time.sleep(0.0002)
        assert len(heard) == count + 1
    assert not any(in_block)
