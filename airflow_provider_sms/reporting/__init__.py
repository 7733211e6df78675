"""The delivery report: what became of a day's messages, as one HTML page that needs nothing else."""
