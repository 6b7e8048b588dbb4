"""Fills an account with nearly every type of resource that an environment may have, and empties it again."""

import json
import uuid
from contextlib import ExitStack
from typing import Any

from blocks.aws import AwsAccount

REGION, RECOVERY = "eu-central-1", "eu-west-1"
TAGS = {"environment": "inventory"}
TAG_LIST = [{"Key": "environment", "Value": "inventory"}]
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}],
    }
)
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})


def create_network(account: AwsAccount, stack: ExitStack) -> dict[str, Any]:
    """One of everything of a VPC."""
    ec2 = account.client("ec2")

    def tagged(kind: str) -> list[dict[str, Any]]:
        return [{"ResourceType": kind, "Tags": TAG_LIST}]

    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
    stack.callback(ec2.delete_vpc, VpcId=vpc)
    subnets = []
    for number in (0, 1):
        made = ec2.create_subnet(
            VpcId=vpc,
            CidrBlock=f"10.0.{number}.0/24",
            AvailabilityZone=f"{REGION}{'ab'[number]}",
            TagSpecifications=tagged("subnet"),
        )
        subnets.append(made["Subnet"]["SubnetId"])
        stack.callback(ec2.delete_subnet, SubnetId=subnets[-1])
    table = ec2.create_route_table(VpcId=vpc, TagSpecifications=tagged("route-table"))["RouteTable"]["RouteTableId"]
    stack.callback(ec2.delete_route_table, RouteTableId=table)
    gateway = ec2.create_internet_gateway(TagSpecifications=tagged("internet-gateway"))["InternetGateway"]
    stack.callback(ec2.delete_internet_gateway, InternetGatewayId=gateway["InternetGatewayId"])
    address = ec2.allocate_address(Domain="vpc", TagSpecifications=tagged("elastic-ip"))["AllocationId"]
    stack.callback(ec2.release_address, AllocationId=address)
    nat = ec2.create_nat_gateway(SubnetId=subnets[0], AllocationId=address, TagSpecifications=tagged("natgateway"))
    stack.callback(ec2.delete_nat_gateway, NatGatewayId=nat["NatGateway"]["NatGatewayId"])
    group = ec2.create_security_group(
        GroupName="web", Description="web", VpcId=vpc, TagSpecifications=tagged("security-group")
    )["GroupId"]
    stack.callback(ec2.delete_security_group, GroupId=group)
    acl = ec2.create_network_acl(VpcId=vpc)["NetworkAcl"]["NetworkAclId"]
    stack.callback(ec2.delete_network_acl, NetworkAclId=acl)
    door = ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.s3", VpcEndpointType="Gateway")
    stack.callback(ec2.delete_vpc_endpoints, VpcEndpointIds=[door["VpcEndpoint"]["VpcEndpointId"]])
    card = ec2.create_network_interface(SubnetId=subnets[0])["NetworkInterface"]["NetworkInterfaceId"]
    stack.callback(ec2.delete_network_interface, NetworkInterfaceId=card)
    create_flow_log(account, stack, vpc)
    return {"subnets": subnets, "vpc": vpc, "group": group}


def create_flow_log(account: AwsAccount, stack: ExitStack, vpc: str) -> None:
    """A VPC's flow log, and the log group it writes to."""
    logs, ec2 = account.client("logs"), account.client("ec2")
    logs.create_log_group(logGroupName="/flow", tags=TAGS)
    stack.callback(logs.delete_log_group, logGroupName="/flow")
    flow = ec2.create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogGroupName="/flow",
        DeliverLogsPermissionArn=f"arn:aws:iam::{account.account_id}:role/flow",
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": TAG_LIST}],
    )["FlowLogIds"]
    stack.callback(ec2.delete_flow_logs, FlowLogIds=flow)


def create_traffic(account: AwsAccount, stack: ExitStack, network: dict[str, Any]) -> None:
    """A load balancer with a listener, a rule and a target group, a firewall, a certificate, names."""
    elb = account.client("elbv2")
    balancer = elb.create_load_balancer(Name="web", Subnets=network["subnets"], Tags=TAG_LIST)["LoadBalancers"][0]
    stack.callback(elb.delete_load_balancer, LoadBalancerArn=balancer["LoadBalancerArn"])
    group = elb.create_target_group(Name="blue", Protocol="HTTP", Port=80, VpcId=network["vpc"], Tags=TAG_LIST)
    target = group["TargetGroups"][0]["TargetGroupArn"]
    stack.callback(elb.delete_target_group, TargetGroupArn=target)
    forward = [{"Type": "forward", "TargetGroupArn": target}]
    listener = elb.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=forward, Tags=TAG_LIST
    )["Listeners"][0]["ListenerArn"]
    stack.callback(elb.delete_listener, ListenerArn=listener)
    condition = [{"Field": "path-pattern", "Values": ["/api/*"]}]
    rule = elb.create_rule(ListenerArn=listener, Conditions=condition, Priority=1, Actions=forward, Tags=TAG_LIST)
    stack.callback(elb.delete_rule, RuleArn=rule["Rules"][0]["RuleArn"])
    classic = account.client("elb")
    ports = [{"Protocol": "HTTP", "LoadBalancerPort": 80, "InstancePort": 80}]
    classic.create_load_balancer(
        LoadBalancerName="old",
        Listeners=ports,
        Subnets=network["subnets"],
        SecurityGroups=[network["group"]],  # else one is made that stays when the load balancer goes
        Tags=TAG_LIST,
    )
    stack.callback(classic.delete_load_balancer, LoadBalancerName="old")
    waf = account.client("wafv2")
    seen = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "web"}
    acl = waf.create_web_acl(Name="web", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=seen)[
        "Summary"
    ]
    stack.callback(waf.delete_web_acl, Name="web", Scope="REGIONAL", Id=acl["Id"], LockToken=acl["LockToken"])
    acm = account.client("acm")
    certificate = acm.request_certificate(DomainName="web.example.com", Tags=TAG_LIST)["CertificateArn"]
    stack.callback(acm.delete_certificate, CertificateArn=certificate)
    dns = account.client("route53")
    zone = dns.create_hosted_zone(Name="example.com", CallerReference=uuid.uuid4().hex)["HostedZone"]["Id"]
    stack.callback(dns.delete_hosted_zone, Id=zone)
    record = {"Name": "web.example.com", "Type": "A", "TTL": 60, "ResourceRecords": [{"Value": "192.0.2.1"}]}
    for action, when in (("CREATE", lambda call: call()), ("DELETE", stack.callback)):
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": record}]}
        when(lambda batch=batch: dns.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch))
    check = dns.create_health_check(
        CallerReference=uuid.uuid4().hex,
        HealthCheckConfig={"Type": "HTTP", "FullyQualifiedDomainName": "web.example.com", "Port": 80},
    )["HealthCheck"]["Id"]
    stack.callback(dns.delete_health_check, HealthCheckId=check)


def create_stores(account: AwsAccount, stack: ExitStack, network: dict[str, Any]) -> None:
    """A bucket in each region, a database with what belongs to it, a queue, a table, a repository, a vault."""
    for region in (REGION, RECOVERY):
        s3 = account.client("s3", region)
        name = f"media-{region}-{account.account_id}"
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
        stack.callback(s3.delete_bucket, Bucket=name)
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": TAG_LIST})
    rds = account.client("rds")
    rds.create_db_subnet_group(
        DBSubnetGroupName="main", DBSubnetGroupDescription="main", SubnetIds=network["subnets"], Tags=TAG_LIST
    )
    stack.callback(rds.delete_db_subnet_group, DBSubnetGroupName="main")
    rds.create_db_parameter_group(DBParameterGroupName="main", DBParameterGroupFamily="postgres16", Description="main")
    stack.callback(rds.delete_db_parameter_group, DBParameterGroupName="main")
    rds.create_db_instance(
        DBInstanceIdentifier="main",
        Engine="postgres",
        DBInstanceClass="db.t3.micro",
        AllocatedStorage=20,
        MasterUsername="someone",
        MasterUserPassword="throw-away",
        Tags=TAG_LIST,
    )
    stack.callback(rds.delete_db_instance, DBInstanceIdentifier="main", FinalDBSnapshotIdentifier="final")
    rds.create_db_snapshot(DBInstanceIdentifier="main", DBSnapshotIdentifier="early")
    stack.callback(rds.delete_db_snapshot, DBSnapshotIdentifier="early")
    sqs = account.client("sqs")
    queue = sqs.create_queue(QueueName="jobs", tags=TAGS)["QueueUrl"]
    stack.callback(sqs.delete_queue, QueueUrl=queue)
    dynamodb = account.client("dynamodb")
    dynamodb.create_table(
        TableName="locks",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        Tags=TAG_LIST,
    )
    stack.callback(dynamodb.delete_table, TableName="locks")
    ecr = account.client("ecr")
    ecr.create_repository(repositoryName="web", tags=TAG_LIST)
    stack.callback(ecr.delete_repository, repositoryName="web")
    backup = account.client("backup")
    backup.create_backup_vault(BackupVaultName="main", BackupVaultTags=TAGS)
    stack.callback(backup.delete_backup_vault, BackupVaultName="main")


def create_guards(account: AwsAccount, stack: ExitStack) -> None:
    """A multi-region key with its replica and alias, a secret, a parameter; key and secret only become pending."""
    kms = account.client("kms")
    key = kms.create_key(MultiRegion=True, Tags=[{"TagKey": "environment", "TagValue": "inventory"}])["KeyMetadata"][
        "KeyId"
    ]
    stack.callback(kms.schedule_key_deletion, KeyId=key, PendingWindowInDays=7)
    kms.create_alias(AliasName="alias/main", TargetKeyId=key)
    stack.callback(kms.delete_alias, AliasName="alias/main")
    kms.replicate_key(KeyId=key, ReplicaRegion=RECOVERY)
    stack.callback(account.client("kms", RECOVERY).schedule_key_deletion, KeyId=key, PendingWindowInDays=7)
    secrets = account.client("secretsmanager")
    secrets.create_secret(Name="database-g1", SecretString="throw-away", Tags=TAG_LIST)
    stack.callback(secrets.delete_secret, SecretId="database-g1", RecoveryWindowInDays=7)
    ssm = account.client("ssm")
    ssm.put_parameter(Name="/app/size", Value="small", Type="String", Tags=TAG_LIST)
    stack.callback(ssm.delete_parameter, Name="/app/size")


def create_rights(account: AwsAccount, stack: ExitStack) -> str:
    """A role, a policy, a profile, an identity provider, a user. Answers the role's ARN."""
    iam = account.client("iam")
    role = iam.create_role(RoleName="node", AssumeRolePolicyDocument=TRUST, Tags=TAG_LIST)["Role"]["Arn"]
    stack.callback(iam.delete_role, RoleName="node")
    policy = iam.create_policy(PolicyName="read", PolicyDocument=POLICY)["Policy"]["Arn"]
    stack.callback(iam.delete_policy, PolicyArn=policy)
    iam.create_instance_profile(InstanceProfileName="node")
    stack.callback(iam.delete_instance_profile, InstanceProfileName="node")
    provider = iam.create_open_id_connect_provider(Url="https://oidc.example.com", ThumbprintList=["0" * 40])
    stack.callback(iam.delete_open_id_connect_provider, OpenIDConnectProviderArn=provider["OpenIDConnectProviderArn"])
    iam.create_user(UserName="someone")
    stack.callback(iam.delete_user, UserName="someone")
    return str(role)


def create_cluster(account: AwsAccount, stack: ExitStack, network: dict[str, Any], role: str) -> None:
    """A cluster with a node group, an instance and a scaling group."""
    eks = account.client("eks")
    eks.create_cluster(name="main", roleArn=role, resourcesVpcConfig={"subnetIds": network["subnets"]}, tags=TAGS)
    stack.callback(eks.delete_cluster, name="main")
    eks.create_nodegroup(clusterName="main", nodegroupName="main", subnets=network["subnets"], nodeRole=role, tags=TAGS)
    stack.callback(eks.delete_nodegroup, clusterName="main", nodegroupName="main")
    ec2, scaling = account.client("ec2"), account.client("autoscaling")
    made = ec2.create_launch_template(LaunchTemplateName="node", LaunchTemplateData={"InstanceType": "t3.small"})
    template = made["LaunchTemplate"]["LaunchTemplateId"]
    stack.callback(ec2.delete_launch_template, LaunchTemplateId=template)
    scaling.create_auto_scaling_group(
        AutoScalingGroupName="node",
        LaunchTemplate={"LaunchTemplateId": template},
        MinSize=0,
        MaxSize=0,
        VPCZoneIdentifier=network["subnets"][0],
    )
    stack.callback(scaling.delete_auto_scaling_group, AutoScalingGroupName="node")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=network["subnets"][0])["Instances"][0]
    stack.callback(ec2.terminate_instances, InstanceIds=[made["InstanceId"]])


def create_watching(account: AwsAccount, stack: ExitStack) -> None:
    """Alarm, dashboard, topic with a subscription, event rule, log policy, trail."""
    cloudwatch = account.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors",
        Namespace="web",
        MetricName="errors",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=1,
        Period=60,
        Statistic="Sum",
        Threshold=1,
        Tags=TAG_LIST,
    )
    stack.callback(cloudwatch.delete_alarms, AlarmNames=["errors"])
    cloudwatch.put_dashboard(DashboardName="main", DashboardBody=json.dumps({"widgets": []}))
    stack.callback(cloudwatch.delete_dashboards, DashboardNames=["main"])
    sns = account.client("sns")
    topic = sns.create_topic(Name="alarms", Tags=TAG_LIST)["TopicArn"]
    stack.callback(sns.delete_topic, TopicArn=topic)
    line = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="someone@example.com")["SubscriptionArn"]
    if line.startswith("arn:"):
        stack.callback(sns.unsubscribe, SubscriptionArn=line)
    events = account.client("events")
    events.put_rule(Name="nightly", ScheduleExpression="rate(1 day)", Tags=TAG_LIST)
    stack.callback(events.delete_rule, Name="nightly")
    logs = account.client("logs")
    logs.put_resource_policy(policyName="dns", policyDocument=POLICY)
    stack.callback(logs.delete_resource_policy, policyName="dns")
    s3 = account.client("s3", "us-east-1")
    s3.create_bucket(Bucket=f"trail-{account.account_id}")
    stack.callback(s3.delete_bucket, Bucket=f"trail-{account.account_id}")
    trail = account.client("cloudtrail")
    trail.create_trail(Name="main", S3BucketName=f"trail-{account.account_id}")
    stack.callback(trail.delete_trail, Name="main")


def create_everything(account: AwsAccount, stack: ExitStack) -> None:
    """One of each type; the stack deletes them in reverse order."""
    network = create_network(account, stack)
    create_guards(account, stack)
    create_traffic(account, stack, network)
    create_stores(account, stack, network)
    create_cluster(account, stack, network, create_rights(account, stack))
    create_watching(account, stack)
