# What waits in the recovery region: a key, and a network for the database's replica.

module "recovery_key" {
  source     = "../../modules/aws/key"
  count      = local.has_recovery ? 1 : 0
  providers  = { aws = aws.recovery }
  name       = local.name
  account_id = var.account.id
  region     = var.recovery_region
}

module "recovery_network" {
  source             = "../../modules/aws/network"
  count              = local.replicates_database ? 1 : 0
  providers          = { aws = aws.recovery }
  name               = local.name
  cidr               = "10.1.0.0/16"
  zones              = var.network.zones
  nat_gateways       = 0
  is_public          = false
  key_arn            = module.recovery_key[0].arn
  log_retention_days = var.log_retention_days
  role               = local.role
}

module "database_replica" {
  source                = "../../modules/aws/replica"
  count                 = local.replicates_database ? 1 : 0
  providers             = { aws = aws.recovery }
  name                  = "${local.name}-replica"
  source_arn            = module.database[0].arn
  storage_limit_gib     = module.database[0].storage_limit_gib
  instance_class        = var.database.instance_class
  is_deletion_protected = var.database.is_deletion_protected
  key_arn               = module.recovery_key[0].arn
  log_retention_days    = var.log_retention_days
  network = {
    id         = module.recovery_network[0].id
    cidr       = module.recovery_network[0].cidr
    subnet_ids = module.recovery_network[0].private_subnet_ids
  }
}
