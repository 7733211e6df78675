"""Bytes to a vendor and back, with every failure sorted into "surely not sent" and "unknown"."""

from __future__ import annotations

from airflow_provider_sms.transport.base import Transport

__all__ = ["Transport"]
