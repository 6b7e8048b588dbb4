"""A short list of certificates for Prefect's clients, because the address of Prefect's API here is plain HTTP.

Each client of Prefect reads its list when it is made, even where there is nothing to verify. The usual list has 140
certificates, 20 ms of computing; a run makes five clients before it is RUNNING.
"""

from pathlib import Path

import certifi

END = "-----END CERTIFICATE-----\n"


def write_certificate(path: Path) -> None:
    """Write the first certificate of the usual list: an empty list is refused."""
    first, _, _ = Path(certifi.where()).read_text(encoding="utf-8").partition(END)
    path.write_text(first + END, encoding="utf-8")
