"""Chinese SMS vendors for Apache Airflow: nothing lost in silence, nothing sent twice."""

from __future__ import annotations

__version__ = "0.2.0.dev0"
