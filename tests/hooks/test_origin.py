"""Who holds a lease, by name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_provider_sms.hooks.origin import owner_of


@pytest.mark.parametrize("length", [1, 100, 250])
def test_two_runs_of_a_task_never_have_the_same_name(length):
    """However long its ids are: whoever has the name of a lease's holder is taken for him."""
    task = SimpleNamespace(dag_id="d" * length, task_id="t" * length, run_id="r", map_index=-1)
    first, second = owner_of({"ti": task}), owner_of({"ti": task})
    assert first != second
    assert first.startswith(("d" * length)[:100])
    assert len(first) <= 250
