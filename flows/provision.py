"""Provisioning: one YAML in, a running environment out. Observe, decide, act, verify, record.

What stands below `Args` in a flow's docstring is what a person reads beside the field in Prefect's form.
"""

from prefect import flow

from domain.approval import decide_gate
from domain.provision import decide_plan_run, decide_provision
from domain.status import Operation
from tasks.approval import read_proposal
from tasks.pair import observe_pair
from tasks.record import record_run
from tasks.run import read_clock
from tasks.secret import check_secrets
from tasks.steps import perform
from tasks.terraform import observe_infrastructure


@flow(name="provision_environment", flow_run_name="provision {environment}")
def provision_environment(environment: str, spec_version: int | None = None) -> None:
    """Make an environment as its file in `environments/` says, or as one of its stored spec versions says.

    Args:
        environment: Name of the environment, such as sandbox: its file is environments/NAME.yaml in the checkout.
        spec_version: Leave it at None to take the file as it is now. A number takes that version from the ledger.
    """
    with record_run(environment, Operation.PROVISION, spec_version) as run:
        check_secrets(run)
        observed = observe_infrastructure(run)
        plan = decide_provision(run.spec, observed, observe_pair(run))
        gate = decide_gate(read_proposal(run, plan.changes), read_clock())
        for step in (*gate, *plan.steps):
            perform(run, step)


@flow(name="plan_environment", flow_run_name="plan {environment}")
def plan_environment(environment: str, spec_version: int | None = None, upgrade: bool = False) -> None:
    """Show what provisioning would change, and keep the plan for 24 hours so that it can be applied as shown.

    Args:
        environment: Name of the environment, such as sandbox: its file is environments/NAME.yaml in the checkout.
        spec_version: Leave it at None to take the file as it is now. A number takes that version from the ledger.
        upgrade: Plan with the Terraform modules of this version of Terrarium, not with those the environment keeps.
    """
    with record_run(environment, Operation.PLAN, spec_version, is_upgrade=upgrade) as run:
        check_secrets(run)
        observed = observe_infrastructure(run)
        plan = decide_plan_run(run.spec, observed, observe_pair(run))
        for step in plan.steps:
            perform(run, step)
