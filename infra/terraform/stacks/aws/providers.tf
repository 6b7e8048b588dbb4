# The region's provider and the recovery region's. Endpoints, retries and credentials come from AWS_* variables: the same
# files speak to AWS and to an emulator.

terraform {
  required_version = ">= 1.11"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "5.100.0"
    }
  }
  backend "s3" {}
}

locals {
  assumed_roles = var.account.role_arn == "" ? [] : [var.account.role_arn]
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account.id]
  dynamic "assume_role" {
    for_each = local.assumed_roles
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

provider "aws" {
  alias               = "recovery"
  region              = var.recovery_region
  allowed_account_ids = [var.account.id]
  dynamic "assume_role" {
    for_each = local.assumed_roles
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
