"""How Sphinx builds these pages. Nothing is fetched from anywhere."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
# Importing Airflow writes its configuration file; it shall not be the reader's.
os.environ["AIRFLOW_HOME"] = str(HERE / "_build" / "airflow")
logging.disable(logging.INFO)

from airflow_provider_sms import __version__  # noqa: E402 - after AIRFLOW_HOME

project = "airflow-provider-sms"
author = "the authors of airflow-provider-sms"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's own name
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "vendor_pages", "reference_pages", "command_pages"]
exclude_patterns = ["_build", "_generated/*.md", "vendor_notes"]
html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"] if (HERE / "_static").is_dir() else []
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}

# -n asks for every reference to be found; those to Python's and Airflow's own names lead outside.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!airflow_provider_sms\.).*"),
    (r"py:.*", r"airflow_provider_sms\.(store|records\.RecordT|sandbox\.accounts).*"),
]
