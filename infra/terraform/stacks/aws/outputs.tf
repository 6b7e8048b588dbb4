# The contract of every stack: `terraform_data` has the same outputs, and a test compares them.

locals {
  parts = {
    network          = one([for part in module.network : { id = part.id, arn = part.arn }])
    key              = { id = module.key.id, arn = module.key.arn }
    database         = one([for part in module.database : { id = part.id, arn = part.arn }])
    database_replica = one([for part in module.database_replica : { id = part.id, arn = part.arn }])
    media            = one([for part in module.media : { id = part.id, arn = part.arn }])
    media_replica    = one(module.media[*].replica)
    queue            = one([for part in module.queue : { id = part.id, arn = part.arn }])
    dead_letters     = one([for part in module.queue : { id = part.dead.id, arn = part.dead.arn }])
    cluster          = one([for part in module.cluster : { id = part.id, arn = part.arn }])
    registry         = one([for part in module.registry : { id = part.id, arn = part.arn }])
    load_balancer    = one([for part in module.load_balancer : { id = part.id, arn = part.arn }])
    secrets          = length(local.secret_names) == 0 ? null : { id = "terrarium/${var.environment}", arn = local.secrets_arn }
    logs             = module.observability.logs
    alarms           = module.observability.alarms
    dashboard        = module.observability.dashboard
    notifications    = module.observability.notifications
    dns              = one([for part in module.dns : { id = part.id, arn = part.arn }])
  }
  secret_names = merge(module.secrets.names, { for database in module.database : "database" => database.secret_name })
  secrets_arn  = "arn:aws:secretsmanager:${var.region}:${var.account.id}:secret:terrarium/${var.environment}/*"
}

output "parts" {
  description = "id and ARN of every part that exists, by part."
  value       = { for part, made in local.parts : part => made if made != null }
}

output "endpoints" {
  description = "Where the parts are reached; null for what does not exist."
  value = {
    load_balancer    = one(module.load_balancer[*].dns_name)
    database         = one(module.database[*].endpoint)
    database_replica = one(module.database_replica[*].endpoint)
    media_bucket     = one(module.media[*].id)
    queue            = one(module.queue[*].id)
    cluster          = one(module.cluster[*].endpoint)
    registry         = one(module.registry[*].urls)
  }
}

output "secret_names" {
  description = "The secrets this environment owns, by their name in the spec, and `database`."
  value       = local.secret_names
}

output "dns_zone" {
  description = "The zone and the name servers to delegate it to. Terraform leaves the output out where there is none."
  value       = one([for zone in module.dns : { id = zone.id, name = var.dns.zone, name_servers = zone.name_servers }])
}
