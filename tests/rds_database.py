"""Databases in an emulated account, as an environment's Terraform makes them, without the minutes that it takes."""

from typing import Any

from blocks.aws import AwsAccount


def make_database(account: AwsAccount, name: str) -> str:
    """An encrypted, private PostgreSQL; its name. The emulator keeps no data in it."""
    account.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        Engine="postgres",
        EngineVersion="16.4",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        MasterUsername="owner",
        MasterUserPassword="of-the-emulator",
        StorageEncrypted=True,
        **_make_place(account, name, account.region),
    )
    return name


def make_replica(account: AwsAccount, name: str, source: str, region: str) -> str:
    """A read replica of it in another region, as an environment's Terraform makes one; its name."""
    found = account.client("rds").describe_db_instances(DBInstanceIdentifier=source)["DBInstances"][0]
    account.client("rds", region).create_db_instance_read_replica(
        DBInstanceIdentifier=name,
        SourceDBInstanceIdentifier=found["DBInstanceArn"],
        DBInstanceClass="db.t4g.small",
        **_make_place(account, name, region),
    )
    return name


def _make_place(account: AwsAccount, name: str, region: str) -> dict[str, Any]:
    """A network, a security group, and a key of the region."""
    ec2 = account.client("ec2", region)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"{region}{zone}")
        for number, zone in enumerate("ab")
    ]
    account.client("rds", region).create_db_subnet_group(
        DBSubnetGroupName=name,
        DBSubnetGroupDescription="private",
        SubnetIds=[one["Subnet"]["SubnetId"] for one in subnets],
    )
    group = ec2.create_security_group(GroupName=f"{name}-database", Description="database", VpcId=vpc)
    return {
        "KmsKeyId": account.client("kms", region).create_key()["KeyMetadata"]["Arn"],
        "DBSubnetGroupName": name,
        "VpcSecurityGroupIds": [group["GroupId"]],
        "PubliclyAccessible": False,
    }
