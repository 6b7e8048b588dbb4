"""Databases in an emulated account, as an environment's Terraform makes them, without the minutes that it takes."""

from blocks.aws import AwsAccount


def make_database(account: AwsAccount, name: str) -> str:
    """An encrypted, private PostgreSQL; its name. The emulator keeps no data in it."""
    key = account.client("kms").create_key()["KeyMetadata"]["Arn"]
    vpc = account.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    group = account.client("ec2").create_security_group(GroupName=f"{name}-database", Description="d", VpcId=vpc)
    account.client("rds").create_db_instance(
        DBInstanceIdentifier=name,
        Engine="postgres",
        EngineVersion="16.4",
        DBInstanceClass="db.t4g.small",
        AllocatedStorage=20,
        MasterUsername="owner",
        MasterUserPassword=key[-12:],
        StorageEncrypted=True,
        KmsKeyId=key,
        PubliclyAccessible=False,
        VpcSecurityGroupIds=[group["GroupId"]],
    )
    return name


def make_replica(account: AwsAccount, name: str, source: str, region: str) -> str:
    """A read replica of it in another region, as an environment's Terraform makes one; its name."""
    arn = account.client("rds").describe_db_instances(DBInstanceIdentifier=source)["DBInstances"][0]["DBInstanceArn"]
    key = account.client("kms", region).create_key()["KeyMetadata"]["Arn"]
    ec2 = account.client("ec2", region)
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    account.client("rds", region).create_db_instance_read_replica(
        DBInstanceIdentifier=name,
        SourceDBInstanceIdentifier=arn,
        DBInstanceClass="db.t4g.small",
        KmsKeyId=key,
        PubliclyAccessible=False,
        VpcSecurityGroupIds=[ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"]],
    )
    return name
