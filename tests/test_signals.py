"""The first signal is noted, the second one acts."""

import signal
import threading

import pytest

from stgcn_pyg.runs.signals import NotedSignals


def test_a_second_signal_acts_as_it_did_before():
    # Where a shell began the tests in the background, Ctrl-C is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with NotedSignals() as signals:
        signal.raise_signal(signal.SIGINT)
        assert signals.number == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_sigterm_that_is_sent_at_once_again_counts_once(monkeypatch):
    """As Linux may do when a parent of several threads ends."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with NotedSignals() as signals:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert signals.number == signal.SIGTERM
        monkeypatch.setattr("stgcn_pyg.runs.signals.REPEATED", 0.0)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, before)


def test_a_second_signal_is_passed_over_where_others_may_send_it_twice():
    with NotedSignals(second_acts=False) as signals:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert signals.number == signal.SIGTERM


def test_the_handlers_are_put_back_also_if_another_changed_them_meanwhile():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with NotedSignals() as signals:
        noting = signal.getsignal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, noting)
    assert signals.number == signal.SIGTERM
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_in_another_thread_signals_are_left_alone():
    failures = []

    def enter():
        try:
            with NotedSignals():
                pass
        except ValueError as error:  # which Python raises there
            failures.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert not failures
