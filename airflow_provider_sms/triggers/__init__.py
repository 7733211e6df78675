"""SMS triggers for Airflow."""
