"""A count of an AWS account that shares no line with `blocks.inventory`: boto3's own list calls, all rows, no filter.

What AWS makes by itself is counted too: it is there before and after. Only what is deleted and waits, or is listed a
while after its end, is told apart, by AWS's own word for it.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import jmespath

REGIONS = ("eu-central-1", "eu-west-1")
Name = tuple[str, str, str]  # type, region, id


@dataclass(frozen=True)
class Count:
    """What an account holds, and what of that only waits for its deletion."""

    present: frozenset[Name]
    pending: frozenset[Name]


RUNNING = "Reservations[].Instances[?State.Name!='terminated'][]"
# AWS names keys of its own so, and each service that is used adds one.
OWN_ALIASES = "Aliases[?!starts_with(AliasName, 'alias/aws/')]"
# Terraform's type: service, list call, where its rows are, what names one of them.
LISTS: dict[str, tuple[str, str, str, str]] = {
    "aws_acm_certificate": ("acm", "list_certificates", "CertificateSummaryList", "CertificateArn"),
    "aws_autoscaling_group": (
        "autoscaling",
        "describe_auto_scaling_groups",
        "AutoScalingGroups",
        "AutoScalingGroupName",
    ),
    "aws_cloudwatch_dashboard": ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "aws_cloudwatch_log_group": ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "aws_cloudwatch_metric_alarm": ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "aws_db_instance": ("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    "aws_db_snapshot": ("rds", "describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier"),
    "aws_db_subnet_group": ("rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    "aws_ebs_volume": ("ec2", "describe_volumes", "Volumes", "VolumeId"),
    "aws_ecr_repository": ("ecr", "describe_repositories", "repositories", "repositoryName"),
    "aws_eip": ("ec2", "describe_addresses", "Addresses", "AllocationId"),
    "aws_eks_cluster": ("eks", "list_clusters", "clusters", "@"),
    "aws_flow_log": ("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId"),
    "aws_iam_role": ("iam", "list_roles", "Roles", "RoleName"),
    "aws_instance": ("ec2", "describe_instances", RUNNING, "InstanceId"),
    "aws_internet_gateway": ("ec2", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    "aws_kms_alias": ("kms", "list_aliases", OWN_ALIASES, "AliasName"),
    "aws_kms_key": ("kms", "list_keys", "Keys", "KeyId"),
    "aws_launch_template": ("ec2", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    "aws_lb": ("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    "aws_lb_target_group": ("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    "aws_nat_gateway": ("ec2", "describe_nat_gateways", "NatGateways[?State!='deleted']", "NatGatewayId"),
    "aws_network_interface": ("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    "aws_route53_health_check": ("route53", "list_health_checks", "HealthChecks", "Id"),
    "aws_route53_zone": ("route53", "list_hosted_zones", "HostedZones", "Id"),
    "aws_route_table": ("ec2", "describe_route_tables", "RouteTables", "RouteTableId"),
    "aws_s3_bucket": ("s3", "list_buckets", "Buckets", "Name"),
    "aws_secretsmanager_secret": ("secretsmanager", "list_secrets", "SecretList", "ARN"),
    "aws_security_group": ("ec2", "describe_security_groups", "SecurityGroups", "GroupId"),
    "aws_sns_topic": ("sns", "list_topics", "Topics", "TopicArn"),
    "aws_sns_topic_subscription": ("sns", "list_subscriptions", "Subscriptions", "join('|', [TopicArn, Endpoint])"),
    "aws_sqs_queue": ("sqs", "list_queues", "QueueUrls", "@"),
    "aws_subnet": ("ec2", "describe_subnets", "Subnets", "SubnetId"),
    "aws_vpc": ("ec2", "describe_vpcs", "Vpcs", "VpcId"),
    "aws_vpc_endpoint": ("ec2", "describe_vpc_endpoints", "VpcEndpoints[?State!='deleted']", "VpcEndpointId"),
}
WHOLE_ACCOUNT = {
    "aws_iam_role",
    "aws_route53_health_check",
    "aws_route53_zone",
    "aws_s3_bucket",
    "aws_cloudwatch_dashboard",
}

# Listed below another resource: the type of that, service, list call, the argument that names it, rows, what names one.
LISTS_BELOW: dict[str, tuple[str, str, str, str, str, str]] = {
    "aws_eks_node_group": ("aws_eks_cluster", "eks", "list_nodegroups", "clusterName", "nodegroups", "@"),
    "aws_iam_role_policy": ("aws_iam_role", "iam", "list_role_policies", "RoleName", "PolicyNames", "@"),
    "aws_iam_role_policy_attachment": (
        *("aws_iam_role", "iam", "list_attached_role_policies", "RoleName"),
        *("AttachedPolicies", "PolicyArn"),
    ),
    "aws_lb_listener": ("aws_lb", "elbv2", "describe_listeners", "LoadBalancerArn", "Listeners", "ListenerArn"),
    "aws_route53_record": (
        *("aws_route53_zone", "route53", "list_resource_record_sets", "HostedZoneId", "ResourceRecordSets"),
        "join(' ', [Name, Type, SetIdentifier || ''])",
    ),
}

# No list call names these: each is a setting of what it stands beside, and is not there without it.
SETTINGS = {
    "aws_acm_certificate_validation": "aws_acm_certificate",
    "aws_default_security_group": "aws_security_group",
    "aws_route_table_association": "aws_route_table",
    "aws_secretsmanager_secret_version": "aws_secretsmanager_secret",
    "aws_sns_topic_policy": "aws_sns_topic",
    **{
        f"aws_s3_bucket_{setting}": "aws_s3_bucket"
        for setting in (
            *("lifecycle_configuration", "object_lock_configuration", "policy", "public_access_block"),
            *("replication_configuration", "server_side_encryption_configuration", "versioning"),
        )
    },
}
COUNTED = frozenset({*LISTS, *LISTS_BELOW, *SETTINGS})


def open_clients(endpoint_url: str, account_id: str) -> Any:
    """A maker of boto3 clients for one account of the emulator: `clients(service, region)`."""
    keys = {"aws_access_key_id": "proof", "aws_secret_access_key": "proof", "region_name": REGIONS[0]}
    sts = boto3.client("sts", endpoint_url=endpoint_url, **keys)
    role = f"arn:aws:iam::{account_id}:role/terrarium"
    given = sts.assume_role(RoleArn=role, RoleSessionName="proof")["Credentials"]
    session = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    return functools.cache(
        lambda service, region=REGIONS[0]: session.client(service, region, endpoint_url=endpoint_url)
    )


def count_account(clients: Any) -> Count:
    """Everything of every type in both regions, and what of it waits for its deletion."""
    present: set[Name] = set()
    for kind, (service, call, rows, name) in LISTS.items():
        for region in REGIONS[:1] if kind in WHOLE_ACCOUNT else REGIONS:
            fixed = {"IncludePlannedDeletion": True} if kind == "aws_secretsmanager_secret" else {}
            present |= {(kind, region, found) for found in _list(clients(service, region), call, fixed, rows, name)}
    for kind, (above, service, call, argument, rows, name) in LISTS_BELOW.items():
        for _, region, owner in [one for one in present if one[0] == above]:
            found = _list(clients(service, region), call, {argument: owner}, rows, name)
            present |= {(kind, region, f"{owner} {one}") for one in found}
    return Count(frozenset(present), frozenset(one for one in present if _is_pending(clients, *one)))


def _list(client: Any, call: str, arguments: dict[str, Any], rows: str, name: str) -> Iterator[str]:
    pages = (
        client.get_paginator(call).paginate(**arguments)
        if client.can_paginate(call)
        else [getattr(client, call)(**arguments)]
    )
    for page in pages:
        yield from (str(jmespath.search(name, row)) for row in jmespath.search(rows, page) or [])


def _is_pending(clients: Any, kind: str, region: str, found: str) -> bool:
    if kind == "aws_kms_key":
        return bool(clients("kms", region).describe_key(KeyId=found)["KeyMetadata"]["KeyState"] == "PendingDeletion")
    if kind == "aws_secretsmanager_secret":
        return "DeletedDate" in clients("secretsmanager", region).describe_secret(SecretId=found)
    return False
