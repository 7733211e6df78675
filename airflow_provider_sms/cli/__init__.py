"""``airflow sms ...``: what people on call type."""
