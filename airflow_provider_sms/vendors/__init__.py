"""One file a vendor: bytes out, bytes in, records. No sockets, no clock, no logging, no Airflow."""
