"""Deleting a resource that no Terraform state knows: only types that hold no data and that nothing depends on."""

from blocks.aws import AwsAccount
from blocks.inventory.account import GLOBAL
from domain.orphans import DELETABLE

#: Type, as in `DELETABLE`: service, call, and the argument that takes the id.
CALLS = {
    "aws_acm_certificate": ("acm", "delete_certificate", "CertificateArn"),
    "aws_eip": ("ec2", "release_address", "AllocationId"),
    "aws_nat_gateway": ("ec2", "delete_nat_gateway", "NatGatewayId"),
    "aws_route53_health_check": ("route53", "delete_health_check", "HealthCheckId"),
}
assert CALLS.keys() == DELETABLE


def delete_orphan(account: AwsAccount, resource_type: str, region: str, resource_id: str) -> None:
    """Delete it; one that is gone is gone."""
    from botocore.exceptions import ClientError

    service, call, argument = CALLS[resource_type]
    with account.translated(f"deleting {resource_type} {resource_id}"):
        try:
            client = account.client(service, None if region == GLOBAL else region)
            getattr(client, call)(**{argument: resource_id})
        except ClientError as error:
            code = error.response["Error"].get("Code", "")
            if "NotFound" not in code and not code.startswith("NoSuch"):
                raise
