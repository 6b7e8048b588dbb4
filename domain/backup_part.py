"""What an environment's file says of the backups of its database."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from domain.declared import BrokenRule, Declared, quote, refuse
from domain.window import check_schedule, check_timezone

TableName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$"),
    Field(description="a table, such as bookings or sales.bookings"),
]
Query = Annotated[str, StringConstraints(min_length=1), Field(description="a query that returns what breaks its rule")]


class Backups(Declared):
    """How many backups are kept, and what a restored one is held against."""

    kind: Literal["logical", "physical"] = Field(
        "logical",
        description="logical (a dump) or physical (a base backup with its WAL; of provider: postgres alone)",
    )
    schedule: Annotated[str, AfterValidator(check_schedule)] | None = Field(
        None, description='five cron fields that say when one is taken and verified, such as "0 3 * * *"; else never'
    )
    timezone: Annotated[str, AfterValidator(check_timezone)] = Field(
        "UTC", description="the IANA time zone of the schedule, such as Europe/Berlin"
    )
    keep_days: int = Field(7, ge=1, le=366, description="of how many days the newest backup is kept, from 1 to 366")
    keep_weeks: int = Field(4, ge=0, le=104, description="of how many weeks the newest backup is kept, from 0 to 104")
    keep_months: int = Field(3, ge=0, le=120, description="of how many months the newest is kept, from 0 to 120")
    expectations: dict[TableName, tuple[dict[str, Any], ...]] = Field(
        {}, description="a list of Great Expectations' own expectations for each table, each with type and kwargs"
    )
    invariants: dict[str, Query] = Field(
        {}, description="the rules of the business, each with a query that returns the rows that break it"
    )

    @model_validator(mode="after")
    def _expectations_have_types(self) -> Self:
        refuse(
            *(
                BrokenRule(
                    ("expectations", table, number, "type"), quote(one.get("type")), "the name of an expectation"
                )
                for table, suite in self.expectations.items()
                for number, one in enumerate(suite)
                if not isinstance(one.get("type"), str) or not isinstance(one.get("kwargs", {}), dict)
            )
        )
        return self
