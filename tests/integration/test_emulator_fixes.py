"""Calls of the AWS provider that no shipped environment makes when it is new, on the emulator with our fixes."""

import uuid

from tests.account_count import open_clients
from tests.stack import LocalStack


def test_a_node_group_moves_to_a_new_template_version(stack: LocalStack) -> None:
    """What a resize asks of EKS: the update is answered, found again, and the group has the new version."""
    clients = open_clients(stack.settings.emulator_url, f"{uuid.uuid4().int % 10**12:012}")
    ec2, eks, role = clients("ec2"), clients("eks"), "arn:aws:iam::123456789012:role/nodes"
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:2]
    data = {"InstanceType": "t3.small"}
    template = ec2.create_launch_template(LaunchTemplateName="main", LaunchTemplateData=data)["LaunchTemplate"]
    eks.create_cluster(name="main", roleArn=role, resourcesVpcConfig={"subnetIds": subnets})
    group = {"clusterName": "main", "nodegroupName": "main"}
    wanted = {"id": template["LaunchTemplateId"], "version": "1"}
    eks.create_nodegroup(**group, nodeRole=role, subnets=subnets, launchTemplate=wanted)
    update = eks.update_nodegroup_version(**group, launchTemplate=wanted | {"version": "2"})["update"]
    found = eks.describe_update(name="main", nodegroupName="main", updateId=update["id"])["update"]
    assert (found["id"], found["status"]) == (update["id"], "Successful")
    assert eks.describe_nodegroup(**group)["nodegroup"]["launchTemplate"]["version"] == "2"
