"""The AWS emulator of the local stack: moto's own server with the fixes our Terraform needs. Its state is in memory.

`python -m deployments.local.emulator --host 127.0.0.1 --port N` serves in the foreground and ends on SIGTERM.
"""

import logging
import os
import sys

# moto reads this at import: without it, attaching a policy of AWS's own answers NoSuchEntity.
os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"

from moto import server

from deployments.local.emulator_fixes import apply_fixes


def main(arguments: list[str]) -> None:
    """Serve AWS's API. A taken port ends the process with exit code 1 and its reason on stderr."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # else a line for each of thousands of calls
    apply_fixes()
    server.main(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
