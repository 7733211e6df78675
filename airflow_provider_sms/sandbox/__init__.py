"""A local gateway that speaks the protocols of all four vendors, with faults.

It stands alone: nothing here is imported from the rest of the package, so that what it expects of a
client is a second reading of the vendors' documents and not the client's own.
"""

from __future__ import annotations

from airflow_provider_sms.sandbox.faults import Fault
from airflow_provider_sms.sandbox.gateway import Sandbox
from airflow_provider_sms.sandbox.messages import Message
from airflow_provider_sms.sandbox.queues import Reply, Report
from airflow_provider_sms.sandbox.settings import Settings

__all__ = ["Fault", "Message", "Reply", "Report", "Sandbox", "Settings"]
