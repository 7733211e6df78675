"""Ids sort by the time they were made."""

from __future__ import annotations

import threading

from airflow_provider_sms.store import ids


def test_ids_of_one_process_sort_as_they_were_made():
    made = [ids.new_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == 5000
    assert {len(one) for one in made} == {32}


def test_ids_go_on_when_the_clock_goes_back(monkeypatch):
    before = ids.new_id()
    monkeypatch.setattr(ids.time, "time_ns", lambda: 0)
    assert ids.new_id() > before


def test_threads_make_no_id_twice():
    made = []
    threads = [
        threading.Thread(target=lambda: made.extend(ids.new_id() for _ in range(500))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 4000
