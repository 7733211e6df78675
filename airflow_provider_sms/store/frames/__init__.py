"""
The tables as pandas sees them: messages, figures, answers, spending.

All times in frames are timezone-aware UTC; days are local days of a time zone. Types are fixed: a frame
without rows has the same columns and types. Every frame raises ``PreflightError`` when it is asked for a day
that is no ``date``, or a moment without a zone, and ``StoreUnavailable`` when the store is away.
"""

from __future__ import annotations

from airflow_provider_sms.store.frames.answers import answers_frame
from airflow_provider_sms.store.frames.daily import daily_frame, refresh_delivery_daily
from airflow_provider_sms.store.frames.figures import delivery_frame, funnel_frame
from airflow_provider_sms.store.frames.messages import message_frame
from airflow_provider_sms.store.frames.records import balances_frame, replies_frame, reports_frame
from airflow_provider_sms.store.frames.spending import spending_frame

__all__ = [
    "answers_frame",
    "balances_frame",
    "daily_frame",
    "delivery_frame",
    "funnel_frame",
    "message_frame",
    "refresh_delivery_daily",
    "replies_frame",
    "reports_frame",
    "spending_frame",
]
