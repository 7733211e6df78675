"""What the tests of beidoutong's codec share: accounts of both protocols."""

from __future__ import annotations

import pytest

from airflow_provider_sms.vendors.beidoutong import BeidoutongVendor


@pytest.fixture
def account(account_of):
    return account_of(BeidoutongVendor(), userid="7788")


@pytest.fixture
def form_account(account_of):
    return account_of(BeidoutongVendor(), userid="7788", protocol="form")
