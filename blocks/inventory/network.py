"""List calls of networks, load balancers, firewalls and names."""

from blocks.inventory.listing import Call, Listing, Owner, ec2, listed

DEFAULT_VPCS = Call("describe_vpcs", "Vpcs[].VpcId", fixed={"Filters": [{"Name": "is-default", "Values": ["true"]}]})
DEFAULT_GROUPS = Call(
    "describe_security_groups",
    "SecurityGroups[].GroupId",
    fixed={"Filters": [{"Name": "group-name", "Values": ["default"]}]},
)
LOAD_BALANCERS = Call("describe_load_balancers", "LoadBalancers")
LISTENERS = Call("describe_listeners", "Listeners", given={"LoadBalancerArn": "LoadBalancerArn"})
RULES = Call("describe_rules", "Rules", given={"ListenerArn": "ListenerArn"})
ZONES = Call("list_hosted_zones", "HostedZones[].{zone: Id, zone_name: Name, linked: LinkedService}")
RECORDS = Call("list_resource_record_sets", "ResourceRecordSets", given={"HostedZoneId": "zone"})

VPC: dict[str, Listing] = {
    "aws_vpc": ec2("describe_vpcs", "Vpcs", "VpcId", "vpc", made_by_aws="IsDefault"),
    "aws_subnet": ec2("describe_subnets", "Subnets", "SubnetId", "subnet", made_by_aws="DefaultForAz"),
    # The main table comes with its VPC and cannot be deleted.
    "aws_route_table": ec2(
        "describe_route_tables", "RouteTables", "RouteTableId", "route-table", made_by_aws="Associations[?Main]"
    ),
    "aws_internet_gateway": ec2(
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayId",
        "internet-gateway",
        aws_owns=Owner(DEFAULT_VPCS, "Attachments[0].VpcId"),
    ),
    # A deleted gateway is listed for an hour.
    "aws_nat_gateway": ec2(
        "describe_nat_gateways", "NatGateways", "NatGatewayId", "natgateway", is_gone="State=='deleted'"
    ),
    "aws_eip": ec2("describe_addresses", "Addresses", "AllocationId", "elastic-ip", name="PublicIp"),
    # Nobody can make a group of the name "default".
    "aws_security_group": ec2(
        "describe_security_groups",
        "SecurityGroups",
        "GroupId",
        "security-group",
        name="GroupName",
        made_by_aws="GroupName=='default'",
    ),
    "aws_vpc_security_group_ingress_rule": ec2(
        "describe_security_group_rules",
        "SecurityGroupRules",
        "SecurityGroupRuleId",
        "security-group-rule",
        aws_owns=Owner(DEFAULT_GROUPS, "GroupId"),
    ),
    "aws_network_acl": ec2(
        "describe_network_acls", "NetworkAcls", "NetworkAclId", "network-acl", made_by_aws="IsDefault"
    ),
    "aws_vpc_endpoint": ec2(
        "describe_vpc_endpoints",
        "VpcEndpoints",
        "VpcEndpointId",
        "vpc-endpoint",
        name="ServiceName",
        is_gone="State=='deleted'",
    ),
    "aws_flow_log": ec2("describe_flow_logs", "FlowLogs", "FlowLogId", "vpc-flow-log"),
}

TRAFFIC: dict[str, Listing] = {
    "aws_lb": Listing(
        "elbv2",
        (LOAD_BALANCERS,),
        id="LoadBalancerArn",
        kind="elasticloadbalancing:loadbalancer",
        arn="LoadBalancerArn",
        name="LoadBalancerName",
    ),
    # A load balancer of the kind before; Kubernetes makes one for a Service unless told otherwise.
    "aws_elb": listed(
        "elb",
        "describe_load_balancers",
        "LoadBalancerDescriptions",
        "LoadBalancerName",
        kind="elasticloadbalancing:loadbalancer",
        name="LoadBalancerName",
    ),
    "aws_lb_target_group": listed(
        "elbv2",
        "describe_target_groups",
        "TargetGroups",
        "TargetGroupArn",
        kind="elasticloadbalancing:targetgroup",
        arn="TargetGroupArn",
        name="TargetGroupName",
    ),
    "aws_lb_listener": Listing(
        "elbv2",
        (LOAD_BALANCERS, LISTENERS),
        id="ListenerArn",
        kind="elasticloadbalancing:listener",
        arn="ListenerArn",
        name="LoadBalancerName",
    ),
    # The default rule comes and goes with its listener.
    "aws_lb_listener_rule": Listing(
        "elbv2",
        (LOAD_BALANCERS, LISTENERS, RULES),
        id="RuleArn",
        kind="elasticloadbalancing:listener-rule",
        arn="RuleArn",
        made_by_aws="IsDefault",
    ),
    "aws_wafv2_web_acl": Listing(
        "wafv2",
        (Call("list_web_acls", "WebACLs", fixed={"Scope": "REGIONAL"}),),
        id="Id",
        kind="wafv2:regional",
        arn="ARN",
        name="Name",
    ),
    "aws_acm_certificate": listed(
        "acm",
        "list_certificates",
        "CertificateSummaryList",
        "CertificateArn",
        kind="acm:certificate",
        arn="CertificateArn",
        name="DomainName",
    ),
}

NAMES: dict[str, Listing] = {
    # A zone with a linked service was made by that service (Cloud Map, for one).
    "aws_route53_zone": Listing(
        "route53",
        (ZONES,),
        id="zone",
        id_prefix="/hostedzone/",
        kind="route53:hostedzone",
        arn="arn:{partition}:route53:::hostedzone/{tail}",
        name="zone_name",
        scope="global",
        made_by_aws="linked",
    ),
    # A zone is born with the SOA and NS records of its own name.
    "aws_route53_record": Listing(
        "route53",
        (ZONES, RECORDS),
        id="join('|', [zone, Name, Type, SetIdentifier || ''])",
        name="Name",
        scope="global",
        made_by_aws="linked || ((Type=='SOA' || Type=='NS') && Name==zone_name)",
    ),
    "aws_route53_health_check": listed(
        "route53",
        "list_health_checks",
        "HealthChecks",
        "Id",
        kind="route53:healthcheck",
        arn="arn:{partition}:route53:::healthcheck/{tail}",
        scope="global",
        made_by_aws="LinkedService",
    ),
}
