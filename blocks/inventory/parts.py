"""Terraform types that are no resource of their own, each with what it is part of, and why that may stand for it."""

from blocks.inventory.listing import Part

BUCKET = "it is a setting of its bucket and goes with it"
ROLE = "a role cannot be deleted before it is detached"
TABLE = "it is a line of its route table and goes with it"
RULES = "all rules of all groups are listed as one type"
VERSION = "it is a value or setting of its secret and goes with it"

PARTS: dict[str, Part] = {
    **{
        f"aws_s3_bucket_{setting}": Part("aws_s3_bucket", BUCKET)
        for setting in (
            "acl",
            "cors_configuration",
            "lifecycle_configuration",
            "logging",
            "notification",
            "object_lock_configuration",
            "ownership_controls",
            "policy",
            "public_access_block",
            "replication_configuration",
            "server_side_encryption_configuration",
            "versioning",
        )
    },
    "aws_route": Part("aws_route_table", TABLE),
    "aws_route_table_association": Part("aws_route_table", TABLE),
    "aws_main_route_table_association": Part("aws_route_table", TABLE),
    "aws_default_route_table": Part("aws_vpc", "it adopts what came with the VPC and goes with it"),
    "aws_default_security_group": Part("aws_vpc", "it adopts what came with the VPC and goes with it"),
    "aws_default_network_acl": Part("aws_vpc", "it adopts what came with the VPC and goes with it"),
    "aws_network_interface": Part("aws_subnet", "its subnet cannot be deleted while it is there"),
    "aws_network_interface_attachment": Part("aws_subnet", "its subnet cannot be deleted while it is there"),
    "aws_network_acl_rule": Part("aws_network_acl", "it is a line of its list and goes with it"),
    "aws_security_group_rule": Part("aws_vpc_security_group_ingress_rule", RULES),
    "aws_vpc_security_group_egress_rule": Part("aws_vpc_security_group_ingress_rule", RULES),
    "aws_vpc_endpoint_route_table_association": Part("aws_vpc_endpoint", "it is a setting of its endpoint"),
    "aws_kms_replica_key": Part("aws_kms_key", "a replica is listed as a key of its own region"),
    "aws_kms_key_policy": Part("aws_kms_key", "it is a setting of its key and goes with it"),
    "aws_secretsmanager_secret_version": Part("aws_secretsmanager_secret", VERSION),
    "aws_secretsmanager_secret_policy": Part("aws_secretsmanager_secret", VERSION),
    "aws_secretsmanager_secret_rotation": Part("aws_secretsmanager_secret", VERSION),
    "aws_iam_role_policy": Part("aws_iam_role", "a role cannot be deleted before its inline policies are"),
    "aws_iam_role_policy_attachment": Part("aws_iam_role", ROLE),
    "aws_lb_target_group_attachment": Part("aws_lb_target_group", "it is a line of its group and goes with it"),
    "aws_lb_listener_certificate": Part("aws_lb_listener", "it is a line of its listener and goes with it"),
    "aws_wafv2_web_acl_association": Part("aws_lb", "it goes with the load balancer it guards"),
    "aws_acm_certificate_validation": Part("aws_acm_certificate", "it only waits for its certificate"),
    "aws_sqs_queue_policy": Part("aws_sqs_queue", "it is a setting of its queue and goes with it"),
    "aws_sqs_queue_redrive_policy": Part("aws_sqs_queue", "it is a setting of its queue and goes with it"),
    "aws_sqs_queue_redrive_allow_policy": Part("aws_sqs_queue", "it is a setting of its queue and goes with it"),
    "aws_sns_topic_policy": Part("aws_sns_topic", "it is a setting of its topic and goes with it"),
    "aws_ecr_lifecycle_policy": Part("aws_ecr_repository", "it is a setting of its repository and goes with it"),
    "aws_ecr_repository_policy": Part("aws_ecr_repository", "it is a setting of its repository and goes with it"),
    "aws_eks_access_entry": Part("aws_eks_cluster", "it is kept in its cluster and goes with it"),
    "aws_eks_access_policy_association": Part("aws_eks_cluster", "it is kept in its cluster and goes with it"),
    "aws_eks_pod_identity_association": Part("aws_eks_cluster", "it is kept in its cluster and goes with it"),
    "aws_cloudwatch_log_metric_filter": Part(
        "aws_cloudwatch_log_group", "it is kept in its log group and goes with it"
    ),
    "aws_cloudwatch_event_target": Part("aws_cloudwatch_event_rule", "a rule cannot be deleted before its targets are"),
}

# Terraform types that AWS never sees.
NOT_IN_ACCOUNT: dict[str, str] = {
    "terraform_data": "it exists in Terraform's state only",
}
