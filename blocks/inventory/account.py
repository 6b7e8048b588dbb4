"""The account that is being observed, and how a question about it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from domain.errors import PermanentError

if TYPE_CHECKING:
    from blocks.aws import AwsAccount

GLOBAL = "global"
# Where AWS answers for services that have no region.
GLOBAL_REGION = "us-east-1"
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class Observed:
    """An account in some regions. It is proved first that its calls land in that account."""

    def __init__(self, account: AwsAccount, regions: Sequence[str]) -> None:
        self.account = account
        self.regions = tuple(dict.fromkeys(regions))
        self.partition = account.identity()["arn"].split(":")[1]

    def client(self, service: str, region: str) -> Any:
        """The client of a service in a region."""
        return self.account.client(service, region)

    def ask(
        self,
        what: str,
        region: str,
        question: Callable[Arguments, Answer],
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Answer:
        """The answer to a question; what boto3 raises becomes one of our errors, with what and where in it."""
        from botocore.parsers import ResponseParserError

        from blocks.aws_session import translate_errors

        doing = f"account {self.account.name}: listing {what} in {region}"
        with translate_errors(doing):
            try:
                return question(*args, **kwargs)
            except ResponseParserError as error:
                raise PermanentError(
                    f"{doing} failed: the answer is none of AWS's.",
                    "Check the account's endpoint; what an emulator cannot list belongs into NOT_ON_EMULATOR.",
                ) from error
