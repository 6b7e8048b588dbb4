# An environment on AWS: its parts, each a module, each made where its variable is not null.

locals {
  name         = "terrarium-${var.environment}"
  role         = { path = "/terrarium/", boundary = "arn:aws:iam::${var.account.id}:policy/terrarium/boundary" }
  is_protected = try(var.database.is_deletion_protected, false)

  replicates_database = try(var.database.has_replica, false)
  replicates_media    = try(var.media.has_replica, false)
  has_recovery        = local.replicates_database || local.replicates_media

  # The service called web faces the users; where none is, the first one by name that takes requests.
  listening   = { for name, service in var.services : name => service if service.port != null }
  front       = try(local.listening["web"], values(local.listening)[0], { port = 80, health_path = null })
  health_path = coalesce(local.front.health_path, "/")
}

module "key" {
  source     = "../../modules/aws/key"
  name       = local.name
  account_id = var.account.id
  region     = var.region
}

# The account's key outlives the environment, and so does the final snapshot: under the environment's own key it could be
# read for another week.
data "aws_kms_alias" "account" {
  count = try(var.database.keep_final_snapshot, false) ? 1 : 0
  name  = "alias/terrarium"
}

module "network" {
  source             = "../../modules/aws/network"
  count              = var.network == null ? 0 : 1
  name               = local.name
  cidr               = "10.0.0.0/16"
  zones              = var.network.zones
  nat_gateways       = var.network.nat_gateways
  is_public          = true
  key_arn            = module.key.arn
  log_retention_days = var.log_retention_days
  role               = local.role
}

module "database" {
  source             = "../../modules/aws/database"
  count              = var.database == null ? 0 : 1
  name               = local.name
  secret_name        = "terrarium/${var.environment}/database-g${var.generation}"
  generation         = var.generation
  settings           = var.database
  key_arn            = module.key.arn
  storage_key_arn    = try(data.aws_kms_alias.account[0].target_key_arn, module.key.arn)
  log_retention_days = var.log_retention_days
  network = {
    id         = module.network[0].id
    cidr       = module.network[0].cidr
    subnet_ids = module.network[0].private_subnet_ids
  }
}

module "media" {
  source           = "../../modules/aws/media"
  count            = var.media == null ? 0 : 1
  providers        = { aws = aws, aws.recovery = aws.recovery }
  name             = local.name
  bucket           = "${local.name}-media-${var.account.id}-${var.region}"
  replica_bucket   = "${local.name}-media-${var.account.id}-${var.recovery_region}"
  settings         = var.media
  key_arn          = module.key.arn
  recovery_key_arn = one(module.recovery_key[*].arn)
  role             = local.role
}

module "queue" {
  source     = "../../modules/aws/queue"
  count      = var.queue == null ? 0 : 1
  name       = local.name
  account_id = var.account.id
  region     = var.region
  settings   = var.queue
  key_arn    = module.key.arn
}

module "cluster" {
  source             = "../../modules/aws/cluster"
  count              = var.cluster == null ? 0 : 1
  name               = local.name
  settings           = var.cluster
  subnet_ids         = module.network[0].private_subnet_ids
  key_arn            = module.key.arn
  log_retention_days = var.log_retention_days
  role               = local.role
}

# What has no network of its own runs images of another environment's registry.
module "registry" {
  source           = "../../modules/aws/registry"
  count            = var.network == null ? 0 : 1
  environment      = var.environment
  services         = toset(keys(var.services))
  key_arn          = module.key.arn
  empty_on_destroy = !local.is_protected
}

module "load_balancer" {
  source                = "../../modules/aws/load_balancer"
  count                 = var.load_balancer == null ? 0 : 1
  name                  = var.environment # at most 32 characters with the colour: no prefix
  green_weight          = var.load_balancer.green_weight
  front                 = { port = local.front.port, health_path = local.health_path }
  is_public             = var.dns != null
  certificate_arn       = one(module.dns[*].certificate_arn)
  is_deletion_protected = local.is_protected
  network = {
    id                 = module.network[0].id
    cidr               = module.network[0].cidr
    public_subnet_ids  = module.network[0].public_subnet_ids
    private_subnet_ids = module.network[0].private_subnet_ids
  }
}

module "secrets" {
  source     = "../../modules/aws/secrets"
  prefix     = "terrarium/${var.environment}"
  generation = var.generation
  secrets    = var.secrets
  key_arn    = module.key.arn
}

# Alarms go by name, so they do not wait for what they watch.
module "observability" {
  source             = "../../modules/aws/observability"
  name               = local.name
  region             = var.region
  account_id         = var.account.id
  key_arn            = module.key.arn
  log_retention_days = var.log_retention_days
  alarms             = var.alarms
  watched = {
    database      = var.database == null ? null : local.name
    queue         = var.queue == null ? null : local.name
    dead_letters  = var.queue == null ? null : "${local.name}-dead"
    load_balancer = var.load_balancer == null ? null : { suffix = module.load_balancer[0].arn_suffix }
  }
}

module "dns" {
  source      = "../../modules/aws/dns"
  count       = var.dns == null ? 0 : 1
  zone        = var.dns.zone
  is_failover = var.dns.is_failover
  health_path = local.health_path
  load_balancer = {
    dns_name = module.load_balancer[0].dns_name
    zone_id  = module.load_balancer[0].zone_id
  }
}
