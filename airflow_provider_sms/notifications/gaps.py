"""What a text names and its callback does not have: a DAG's callback has no exception, for one."""

from __future__ import annotations

from jinja2 import ChainableUndefined, DebugUndefined


class Gap(ChainableUndefined, DebugUndefined):
    """Something that is not there, shown as the template names it: ``{{ exception }}``."""
