"""Two flows that read a secret and fail: one as ours would, and one that makes every mistake there is."""

import io
import zipfile

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from pydantic import SecretStr

from domain.errors import PermanentError
from domain.status import Operation
from tasks.record import record_run
from tasks.run import Run
from tasks.secret import open_stores


def read_first(run: Run) -> SecretStr:
    """The value of the environment's only reference into Secrets Manager."""
    (reference,) = (it for it in run.spec.secrets.values() if it.backend == "secrets-manager")
    return open_stores(run)["secrets-manager"].read_value(reference.path or "")


@task
def refuse(environment: str, value: object) -> None:
    """An error with the value in its text, as a service that quotes what it was sent."""
    raise PermanentError(f"{environment}: the service does not take {value}.", f"Give another one than {value}.")


@flow
def hide_secret(environment: str, spec_version: int | None = None) -> None:
    """Read a secret; log, publish and raise it as it was given."""
    with record_run(environment, Operation.PLAN, spec_version) as run:
        value = read_first(run)
        get_run_logger().warning("read %s", value)
        create_markdown_artifact(f"read {value!r}", key=f"secret-{environment}")
        refuse(environment, value)


@task(persist_result=True)
def keep(value: str) -> str:
    """A result that Prefect keeps."""
    return value


@flow
def leak_secret(environment: str, spec_version: int | None = None) -> None:
    """Read a secret, take it out of its envelope, and put it wherever a flow can put something."""
    with record_run(environment, Operation.PLAN, spec_version) as run:
        value = read_first(run).get_secret_value()
        get_run_logger().warning("read %s", value)
        create_markdown_artifact(f"read {value}", key=f"secret-{environment}")
        keep(value)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("tfplan", f"password = {value}")
        run.account.put_plan(environment, "leaked", packed.getvalue())
        run.account.client("s3").put_object(
            Bucket=run.account.state_bucket,
            Key=f"environments/{environment}.tfstate",
            Body=f'{{"password": "{value}"}}',
        )
        refuse(environment, value)
