"""SMS notifications for Airflow."""
