# What an account needs before its first environment: state bucket, vault, key and the role `terrarium`.
#
# Two steps, because the state bucket cannot hold its own state before it exists:
#   1. terraform init && terraform apply      (no backend block: the state is a local file)
#   2. write backend.tf with `terraform { backend "s3" {} }`, then
#      terraform init -migrate-state -force-copy -backend-config=FILE   (key bootstrap/terraform.tfstate)
# Where the state bucket exists already, step 2's file is there from the start and step 1 is an ordinary init and apply.

terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
}

variable "account" {
  description = "The same object as the stacks'. role_arn \"\" means the caller's own identity: on a new account an administrator's."
  type = object({
    id           = string
    role_arn     = string
    state_bucket = string
    vault_bucket = string
    session_name = optional(string, "terrarium-bootstrap")
    external_id  = optional(string, "")
  })
}

variable "region" {
  type = string
}

variable "recovery_region" {
  type = string
}

variable "trusted_principals" {
  description = "ARNs that may assume the role `terrarium`: the workers' role. Empty: whoever this account's IAM allows."
  type        = list(string)
  default     = []
}

variable "vault_retention_days" {
  description = "No object in the vault can be deleted for so long."
  type        = number
  default     = 30
}

variable "tags" {
  type    = map(string)
  default = { managed-by = "terrarium" }
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account.id]

  dynamic "assume_role" {
    for_each = var.account.role_arn == "" ? [] : [var.account.role_arn]
    content {
      role_arn     = assume_role.value
      session_name = var.account.session_name
      external_id  = var.account.external_id == "" ? null : var.account.external_id
    }
  }

  default_tags {
    tags = var.tags
  }
}

module "key" {
  source     = "../../modules/aws/key"
  name       = "terrarium"
  account_id = var.account.id
  region     = var.region
}

module "state" {
  source          = "../../modules/aws/bucket"
  name            = var.account.state_bucket
  key_arn         = module.key.arn
  noncurrent_days = 90
  expire_days     = { "plans/" = 1 } # a saved plan may hold secrets
}

module "vault" {
  source          = "../../modules/aws/bucket"
  name            = var.account.vault_bucket
  key_arn         = module.key.arn
  noncurrent_days = var.vault_retention_days
  has_object_lock = true
}

resource "aws_s3_bucket_object_lock_configuration" "vault" {
  bucket = module.vault.versioned_id
  rule {
    default_retention {
      mode = "GOVERNANCE"
      days = var.vault_retention_days
    }
  }
}

output "state_bucket" {
  value = module.state.id
}

output "vault_bucket" {
  value = module.vault.id
}

output "kms_key_id" {
  value = module.key.arn
}

output "role_arn" {
  value = aws_iam_role.terrarium.arn
}
