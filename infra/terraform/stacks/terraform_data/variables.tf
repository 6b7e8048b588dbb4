# The contract of every stack, the same as AWS's; a test compares them.
# An optional part is made where its variable is not null. None has a default: the caller says everything.

variable "environment" {
  description = "Name of the environment, unique in its account."
  type        = string
}

variable "class" {
  type = string
}

variable "generation" {
  description = "How many times this environment was made anew; part of names that AWS keeps after a deletion."
  type        = number
}

variable "account" {
  description = "role_arn \"\" means the caller's own identity."
  type = object({
    id           = string
    role_arn     = string
    state_bucket = string
    vault_bucket = string
    session_name = optional(string, "terrarium")
    external_id  = optional(string, "")
  })
}

variable "region" {
  type = string
}

variable "recovery_region" {
  type = string
}

variable "tags" {
  description = "On everything: environment, owner, cost-centre, managed-by, run."
  type        = map(string)
}

variable "services" {
  description = "A service without a port takes no requests."
  type        = map(object({ image = string, replicas = number, port = optional(number), health_path = optional(string) }))
}

variable "network" {
  type = object({ zones = number, nat_gateways = number })
}

variable "database" {
  type = object({
    engine_version        = string
    instance_class        = string
    storage_gib           = number
    has_replica           = bool
    is_multi_zone         = bool
    backup_retention_days = number
    keep_final_snapshot   = bool
    is_deletion_protected = bool
  })
}

variable "media" {
  type = object({ has_replica = bool, empty_on_destroy = bool, noncurrent_days = number })
}

variable "queue" {
  type = object({ retention_days = number, max_receives = number })
}

variable "cluster" {
  description = "Only where the environment owns one."
  type        = object({ version = string, node_type = string, node_count = number, node_max_count = number })
}

variable "load_balancer" {
  description = "green_weight: percent of the requests that go to the green release."
  type        = object({ green_weight = number })
}

variable "secrets" {
  type = map(object({ description = string }))
}

variable "alarms" {
  type = object({
    email                = optional(string)
    database_cpu_percent = number
    queue_age_seconds    = number
    error_5xx_count      = number
  })
}

variable "dns" {
  type = object({ zone = string, is_failover = bool })
}

variable "log_retention_days" {
  type = number
}

variable "rehearsal" {
  description = "Parts that fail or are slow, by name. Only the stack `terraform_data` acts on it: AWS fails by itself."
  type        = object({ fail = list(string), slow_seconds = map(number) })
}
