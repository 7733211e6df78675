"""SMS sensors for Airflow."""
