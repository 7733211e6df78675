"""Tables and frames of the store to where analysts work: Parquet, CSV, or a table of another database."""
