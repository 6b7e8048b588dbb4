"""The fake of Prefect keeps the contract that the console was written against."""

import pytest

from tests.fakes import FakePrefect
from tests.prefect_contract import PrefectContract


class TestFakePrefect(PrefectContract):
    """The suite, on the fake."""

    @pytest.fixture
    def api(self) -> FakePrefect:
        """A fake with the deployments of the catalog."""
        return FakePrefect()
