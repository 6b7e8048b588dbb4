"""List calls of what holds data, and of the keys and secrets that guard it."""

from blocks.inventory.listing import Call, Listing, Owner, listed

# The prefix alias/aws/ is reserved to AWS; where such an alias points is a key of AWS.
AWS_KEYS = Call("list_aliases", "Aliases[?starts_with(AliasName, 'alias/aws/')].TargetKeyId")
# A bucket made in us-east-1 has no location, one of before 2010 in eu-west-1 has "EU".
BUCKET_REGION = "{region: (LocationConstraint=='EU' && 'eu-west-1') || LocationConstraint || 'us-east-1'}"

GUARDS: dict[str, Listing] = {
    "aws_kms_key": Listing(
        "kms",
        (Call("list_keys", "Keys"), Call("describe_key", "KeyMetadata", given={"KeyId": "KeyArn"})),
        id="KeyId",
        kind="kms:key",
        arn="Arn",
        name="Description",
        made_by_aws="KeyManager=='AWS'",
        aws_owns=Owner(AWS_KEYS, "KeyId"),
        is_pending="KeyState=='PendingDeletion' || KeyState=='PendingReplicaDeletion'",
    ),
    "aws_kms_alias": listed(
        "kms",
        "list_aliases",
        "Aliases",
        "AliasName",
        kind="kms:alias",
        arn="AliasArn",
        name="AliasName",
        made_by_aws="starts_with(AliasName, 'alias/aws/')",
    ),
    "aws_secretsmanager_secret": Listing(
        "secretsmanager",
        (Call("list_secrets", "SecretList", fixed={"IncludePlannedDeletion": True}),),
        id="ARN",
        kind="secretsmanager:secret",
        arn="ARN",
        name="Name",
        is_pending="DeletedDate",
    ),
    "aws_ssm_parameter": listed(
        "ssm",
        "describe_parameters",
        "Parameters",
        "Name",
        kind="ssm:parameter",
        arn="arn:{partition}:ssm:{region}:{account}:parameter/{path}",
        name="Name",
    ),
}

STORES: dict[str, Listing] = {
    # Buckets are listed for the whole account; those of other regions than the asked ones are left out.
    "aws_s3_bucket": Listing(
        "s3",
        (Call("list_buckets", "Buckets"), Call("get_bucket_location", BUCKET_REGION, given={"Bucket": "Name"})),
        id="Name",
        kind="s3:",
        arn="arn:{partition}:s3:::{tail}",
        name="Name",
        scope="global",
        region="region",
    ),
    "aws_db_instance": listed(
        "rds",
        "describe_db_instances",
        "DBInstances",
        "DBInstanceIdentifier",
        kind="rds:db",
        arn="DBInstanceArn",
        name="DBInstanceIdentifier",
    ),
    # RDS makes automated snapshots, and removes them with their instance or their retention.
    "aws_db_snapshot": listed(
        "rds",
        "describe_db_snapshots",
        "DBSnapshots",
        "DBSnapshotIdentifier",
        kind="rds:snapshot",
        arn="DBSnapshotArn",
        name="DBSnapshotIdentifier",
        made_by_aws="SnapshotType=='automated'",
    ),
    "aws_db_subnet_group": listed(
        "rds",
        "describe_db_subnet_groups",
        "DBSubnetGroups",
        "DBSubnetGroupName",
        kind="rds:subgrp",
        arn="DBSubnetGroupArn",
        name="DBSubnetGroupName",
    ),
    # Nobody can make a group whose name begins with "default.".
    "aws_db_parameter_group": listed(
        "rds",
        "describe_db_parameter_groups",
        "DBParameterGroups",
        "DBParameterGroupName",
        kind="rds:pg",
        arn="DBParameterGroupArn",
        name="DBParameterGroupName",
        made_by_aws="starts_with(DBParameterGroupName, 'default.')",
    ),
    "aws_sqs_queue": listed(
        "sqs",
        "list_queues",
        "QueueUrls[].{url: @}",
        "url",
        kind="sqs:",
        arn="arn:{partition}:sqs:{region}:{account}:{tail}",
    ),
    "aws_dynamodb_table": listed(
        "dynamodb", "list_tables", "TableNames[].{table: @}", "table", kind="dynamodb:table", name="table"
    ),
    "aws_ecr_repository": listed(
        "ecr",
        "describe_repositories",
        "repositories",
        "repositoryName",
        kind="ecr:repository",
        arn="repositoryArn",
        name="repositoryName",
    ),
    "aws_backup_vault": listed(
        "backup",
        "list_backup_vaults",
        "BackupVaultList",
        "BackupVaultName",
        kind="backup:backup-vault",
        arn="BackupVaultArn",
        name="BackupVaultName",
    ),
}
