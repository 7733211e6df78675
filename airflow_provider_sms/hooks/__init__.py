"""SMS hooks for Airflow."""
