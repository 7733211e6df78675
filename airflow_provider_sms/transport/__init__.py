"""Bytes to a vendor and back, with every failure sorted into "surely not sent" and "unknown"."""
