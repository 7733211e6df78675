from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from airflow_provider_sms.errors import PreflightError
from airflow_provider_sms.store.frames.outcomes import WITHOUT_REPORTS
from airflow_provider_sms.vendors import registry
from airflow_provider_sms.vendors.base import Operation
from airflow_provider_sms.vendors.wavecom import WavecomVendor


class FifthVendor(WavecomVendor):
    """What another package might bring."""

    name = "fifth"
    conn_type = "sms_fifth"


class Usurper(WavecomVendor):
    """A vendor under a name that is taken."""


@pytest.fixture
def registering(monkeypatch):
    """Register the vendors of another package, for one test."""

    def register(*classes: str):
        points = [EntryPoint(name, f"{__name__}:{name}", registry.ENTRY_POINT_GROUP) for name in classes]
        monkeypatch.setattr(EntryPoint, "load", lambda point: globals()[point.name])
        monkeypatch.setattr(
            registry, "entry_points", lambda *, group: points if group == registry.ENTRY_POINT_GROUP else []
        )
        registry.vendors.cache_clear()

    yield register
    registry.vendors.cache_clear()


def test_each_of_ours_is_found_by_name_and_by_type():
    for name, vendor in registry.vendors().items():
        assert registry.vendor_named(name) is vendor
        assert registry.vendor_of_type(vendor.conn_type, "any") is vendor


def test_the_frames_know_which_of_ours_give_no_reports():
    """The store may not ask the vendors."""
    without = [name for name, each in registry.vendors().items() if not each.supports(Operation.REPORTS)]
    assert tuple(without) == WITHOUT_REPORTS


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(PreflightError, match=r"'nobody'.*beidoutong, wavecom, linkws, smsadmin"):
        registry.vendor_named("nobody")


def test_an_unknown_type_names_the_connection_and_the_types():
    with pytest.raises(PreflightError, match=r"(?s)connection 'my_db'.*'postgres'.*sms_beidoutong"):
        registry.vendor_of_type("postgres", "my_db")


def test_another_package_adds_a_vendor(registering):
    registering("FifthVendor")
    assert list(registry.vendors())[-1] == "fifth"
    assert registry.vendor_of_type("sms_fifth", "any").name == "fifth"


def test_another_package_takes_nobodys_place(registering):
    registering("Usurper")
    with pytest.raises(PreflightError, match="'wavecom', which exists: rename it"):
        registry.vendors()
