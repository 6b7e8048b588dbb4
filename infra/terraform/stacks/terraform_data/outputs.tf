# The contract of every stack, the same as AWS's; a test compares them.

locals {
  made = {
    network          = one(terraform_data.network[*].id)
    key              = terraform_data.key.id
    database         = one(terraform_data.database[*].id)
    database_replica = one(terraform_data.database_replica[*].id)
    media            = one(terraform_data.media[*].id)
    media_replica    = one(terraform_data.media_replica[*].id)
    queue            = one(terraform_data.queue[*].id)
    dead_letters     = one(terraform_data.dead_letters[*].id)
    cluster          = one(terraform_data.cluster[*].id)
    registry         = one(terraform_data.registry[*].id)
    load_balancer    = one(terraform_data.load_balancer[*].id)
    secrets          = one(terraform_data.secrets[*].id)
    logs             = terraform_data.logs.id
    alarms           = one(terraform_data.alarms[*].id)
    dashboard        = one(terraform_data.dashboard[*].id)
    notifications    = one(terraform_data.notifications[*].id)
    dns              = one(terraform_data.dns[*].id)
  }
  owned_secrets = concat(keys(var.secrets), var.database == null ? [] : ["database"])
}

output "parts" {
  description = "id and ARN of every part that exists, by part."
  value = {
    for part, id in local.made : part => { id = id, arn = "arn:terraform_data:${var.environment}:${part}/${id}" } if id != null
  }
}

output "endpoints" {
  description = "Where the parts are reached; null for what does not exist."
  value = {
    load_balancer    = var.load_balancer == null ? null : "load-balancer.${var.environment}.invalid"
    database         = var.database == null ? null : "database.${var.environment}.invalid:5432"
    database_replica = local.replicates_database ? "database-replica.${var.environment}.invalid:5432" : null
    media_bucket     = var.media == null ? null : "${var.environment}-media"
    queue            = var.queue == null ? null : "https://queue.${var.environment}.invalid"
    cluster          = var.cluster == null ? null : "https://cluster.${var.environment}.invalid"
    registry         = var.network == null ? null : { for service in keys(var.services) : service => "registry.invalid/${service}" }
  }
}

output "secret_names" {
  description = "The secrets this environment owns, by their name in the spec, and `database`."
  value       = { for name in local.owned_secrets : name => "terrarium/${var.environment}/${name}-g${var.generation}" }
}

output "dns_zone" {
  description = "The zone and the name servers to delegate it to. Terraform leaves the output out where there is none."
  value       = one([for zone in terraform_data.dns : { id = zone.id, name = var.dns.zone, name_servers = ["ns.invalid"] }])
}
