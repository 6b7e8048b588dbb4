"""Prefect's pages in the image may talk to their own server and to nobody else (deployments/local/prefect_pages.py).

In the pages as they were installed: the server copies them at its start.
"""

from pathlib import Path

import prefect

from deployments.local.prefect_pages import add_policy

for folder in (prefect.__ui_static_path__, prefect.__ui_v2_static_path__):
    # An ingress of another name is each page's own origin, which the policy allows anyway.
    add_policy(Path(folder) / "index.html", "http://127.0.0.1:4200")
