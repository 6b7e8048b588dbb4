# The bucket of media, and where it is asked for, its copy in the recovery region.

terraform {
  required_providers {
    aws = {
      source                = "hashicorp/aws"
      configuration_aliases = [aws.recovery]
    }
  }
}

variable "name" {
  type = string
}

variable "bucket" {
  type = string
}

variable "replica_bucket" {
  type = string
}

variable "settings" {
  type = object({ has_replica = bool, empty_on_destroy = bool, noncurrent_days = number })
}

variable "key_arn" {
  type = string
}

variable "recovery_key_arn" {
  type = string
}

variable "role" {
  type = object({ path = string, boundary = string })
}

module "bucket" {
  source           = "../bucket"
  name             = var.bucket
  key_arn          = var.key_arn
  empty_on_destroy = var.settings.empty_on_destroy
  noncurrent_days  = var.settings.noncurrent_days
}

module "replica" {
  source           = "../bucket"
  count            = var.settings.has_replica ? 1 : 0
  providers        = { aws = aws.recovery }
  name             = var.replica_bucket
  key_arn          = var.recovery_key_arn
  empty_on_destroy = var.settings.empty_on_destroy
  noncurrent_days  = var.settings.noncurrent_days
}

output "id" {
  value = module.bucket.id
}

output "arn" {
  value = module.bucket.arn
}

output "replica" {
  value = one([for bucket in module.replica : { id = bucket.id, arn = bucket.arn }])
}
