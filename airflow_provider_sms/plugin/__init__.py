"""The Airflow plugin: the receiver of pushes. It imports FastAPI where it is served, and nowhere else."""
