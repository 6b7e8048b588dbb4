# A read replica of the database in the recovery region, in a network and under a key of that region.

# Made in the recovery region too.
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "name" {
  type = string
}

variable "source_arn" {
  type = string
}

variable "instance_class" {
  type = string
}

variable "storage_limit_gib" {
  description = "It has to grow with the primary."
  type        = number
}

variable "is_deletion_protected" {
  type = bool
}

variable "network" {
  type = object({ id = string, cidr = string, subnet_ids = list(string) })
}

variable "key_arn" {
  type = string
}

variable "log_retention_days" {
  type = number
}

locals {
  logs = ["postgresql", "upgrade"]
}

# RDS would make these groups itself, without a key and for ever.
resource "aws_cloudwatch_log_group" "this" {
  for_each          = toset(local.logs)
  name              = "/aws/rds/instance/${var.name}/${each.key}"
  kms_key_id        = var.key_arn
  retention_in_days = var.log_retention_days
}

resource "aws_db_subnet_group" "this" {
  name        = var.name
  description = "Private subnets of ${var.name} in the recovery region"
  subnet_ids  = var.network.subnet_ids
}

resource "aws_security_group" "this" {
  name        = "${var.name}-database"
  description = "PostgreSQL from inside the network only"
  vpc_id      = var.network.id
  ingress {
    description = "PostgreSQL"
    protocol    = "tcp"
    from_port   = 5432
    to_port     = 5432
    cidr_blocks = [var.network.cidr]
  }
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_118:Performance Insights is on; the host's own metrics would need a role per environment
  #checkov:skip=CKV_AWS_157:a replica becomes multi-zone when it is promoted
  #checkov:skip=CKV_AWS_293:protected where the class protects the environment
  identifier            = var.name
  replicate_source_db   = var.source_arn
  instance_class        = var.instance_class
  max_allocated_storage = var.storage_limit_gib
  storage_encrypted     = true
  kms_key_id            = var.key_arn

  db_subnet_group_name            = aws_db_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.this.id]
  publicly_accessible             = false
  auto_minor_version_upgrade      = true
  copy_tags_to_snapshot           = true
  enabled_cloudwatch_logs_exports = local.logs
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.key_arn

  iam_database_authentication_enabled = true

  deletion_protection = var.is_deletion_protected
  skip_final_snapshot = true # the primary's holds the same data

  depends_on = [aws_cloudwatch_log_group.this]
}

output "id" {
  value = aws_db_instance.this.identifier
}

output "arn" {
  value = aws_db_instance.this.arn
}

output "endpoint" {
  value = aws_db_instance.this.endpoint
}
