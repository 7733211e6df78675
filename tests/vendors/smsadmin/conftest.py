"""What the tests of smsadmin's codec share: an account whose parts need escaping."""

from __future__ import annotations

import pytest

from airflow_provider_sms.vendors.smsadmin import SmsAdminVendor


@pytest.fixture
def account_with(account_of):
    """Make an account: ``account_with(method="get")``."""
    return lambda **extra: account_of(SmsAdminVendor(), login="uid一", password="p&=s 密", **extra)


@pytest.fixture
def account(account_with):
    return account_with()
