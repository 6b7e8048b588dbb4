"""List calls of rights, clusters, and of what watches and tells."""

from blocks.inventory.listing import Call, Listing, ec2, listed

CLUSTERS = Call("list_clusters", "clusters[].{cluster: @}")
NODE_GROUPS = Call("list_nodegroups", "nodegroups[].{group: @}", given={"clusterName": "cluster"})
NODE_GROUP = Call("describe_nodegroup", "nodegroup", given={"clusterName": "cluster", "nodegroupName": "group"})
ADDONS = Call("list_addons", "addons[].{addon: @}", given={"clusterName": "cluster"})
ADDON = Call("describe_addon", "addon", given={"clusterName": "cluster", "addonName": "addon"})
ALARM_TYPES = {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
# These paths are reserved to AWS: service-linked roles, and those of its identity centre.
AWS_ROLES = "starts_with(Path, '/aws-service-role/') || starts_with(Path, '/aws-reserved/')"

RIGHTS: dict[str, Listing] = {
    "aws_iam_role": listed(
        "iam",
        "list_roles",
        "Roles",
        "RoleName",
        kind="iam:role",
        arn="Arn",
        name="RoleName",
        scope="global",
        made_by_aws=AWS_ROLES,
    ),
    # Scope Local leaves out the policies of AWS.
    "aws_iam_policy": Listing(
        "iam",
        (Call("list_policies", "Policies", fixed={"Scope": "Local"}),),
        id="Arn",
        kind="iam:policy",
        arn="Arn",
        name="PolicyName",
        scope="global",
    ),
    "aws_iam_instance_profile": listed(
        "iam",
        "list_instance_profiles",
        "InstanceProfiles",
        "InstanceProfileName",
        kind="iam:instance-profile",
        arn="Arn",
        name="InstanceProfileName",
        scope="global",
    ),
    "aws_iam_openid_connect_provider": listed(
        "iam",
        "list_open_id_connect_providers",
        "OpenIDConnectProviderList",
        "Arn",
        kind="iam:oidc-provider",
        arn="Arn",
        scope="global",
    ),
    "aws_iam_user": listed(
        "iam", "list_users", "Users", "UserName", kind="iam:user", arn="Arn", name="UserName", scope="global"
    ),
}

CLUSTER: dict[str, Listing] = {
    "aws_eks_cluster": Listing("eks", (CLUSTERS,), id="cluster", kind="eks:cluster", name="cluster"),
    "aws_eks_node_group": Listing(
        "eks",
        (CLUSTERS, NODE_GROUPS, NODE_GROUP),
        id="join(':', [cluster, group])",
        kind="eks:nodegroup",
        arn="nodegroupArn",
        name="group",
    ),
    "aws_eks_addon": Listing(
        "eks",
        (CLUSTERS, ADDONS, ADDON),
        id="join(':', [clusterName, addonName])",
        kind="eks:addon",
        arn="addonArn",
        name="addonName",
    ),
    "aws_launch_template": ec2(
        "describe_launch_templates",
        "LaunchTemplates",
        "LaunchTemplateId",
        "launch-template",
        name="LaunchTemplateName",
    ),
    "aws_autoscaling_group": listed(
        "autoscaling",
        "describe_auto_scaling_groups",
        "AutoScalingGroups",
        "AutoScalingGroupName",
        kind="autoscaling:autoScalingGroup",
        arn="AutoScalingGroupARN",
        name="AutoScalingGroupName",
    ),
    # A terminated instance is listed for an hour.
    "aws_instance": ec2(
        "describe_instances", "Reservations[].Instances[]", "InstanceId", "instance", is_gone="State.Name=='terminated'"
    ),
}

WATCHING: dict[str, Listing] = {
    "aws_cloudwatch_log_group": listed(
        "logs",
        "describe_log_groups",
        "logGroups",
        "logGroupName",
        kind="logs:log-group",
        arn="logGroupArn",
        name="logGroupName",
    ),
    "aws_cloudwatch_log_resource_policy": listed(
        "logs", "describe_resource_policies", "resourcePolicies", "policyName", name="policyName"
    ),
    "aws_cloudwatch_metric_alarm": Listing(
        "cloudwatch",
        (Call("describe_alarms", "[MetricAlarms || `[]`, CompositeAlarms || `[]`][]", fixed=ALARM_TYPES),),
        id="AlarmName",
        kind="cloudwatch:alarm",
        arn="AlarmArn",
        name="AlarmName",
    ),
    "aws_cloudwatch_dashboard": listed(
        "cloudwatch",
        "list_dashboards",
        "DashboardEntries",
        "DashboardName",
        kind="cloudwatch:dashboard",
        arn="DashboardArn",
        name="DashboardName",
        scope="everywhere",
    ),
    "aws_sns_topic": listed("sns", "list_topics", "Topics", "TopicArn", kind="sns:", arn="TopicArn"),
    # An e-mail address that has not agreed yet has no ARN of its own.
    "aws_sns_topic_subscription": listed(
        "sns",
        "list_subscriptions",
        "Subscriptions",
        "join('|', [TopicArn, Protocol, SubscriptionArn])",
        is_gone="SubscriptionArn=='Deleted'",
    ),
    # AWS services make rules of their own; such a rule names its service.
    "aws_cloudwatch_event_rule": listed(
        "events", "list_rules", "Rules", "Name", kind="events:rule", arn="Arn", name="Name", made_by_aws="ManagedBy"
    ),
    "aws_cloudtrail": listed(
        "cloudtrail",
        "list_trails",
        "Trails[].{TrailARN: TrailARN, Name: Name, HomeRegion: HomeRegion}",
        "TrailARN",
        kind="cloudtrail:trail",
        arn="TrailARN",
        name="Name",
    ),
}
