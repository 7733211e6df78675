"""SMS operators for Airflow."""
