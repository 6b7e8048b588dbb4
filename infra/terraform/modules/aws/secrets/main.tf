# The secrets this environment owns, without their values: those come by Terrarium's rotation, never through Terraform.

variable "prefix" {
  type = string
}

variable "generation" {
  type = number
}

variable "secrets" {
  type = map(object({ description = string }))
}

variable "key_arn" {
  type = string
}

resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57:not rotated yet; the rotation pipeline will
  for_each                = var.secrets
  name                    = "${var.prefix}/${each.key}-g${var.generation}"
  description             = each.value.description
  kms_key_id              = var.key_arn
  recovery_window_in_days = 7
}

output "names" {
  value = { for name, secret in aws_secretsmanager_secret.this : name => secret.name }
}

output "arns" {
  value = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}
