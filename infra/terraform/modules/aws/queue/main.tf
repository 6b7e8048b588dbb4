# The work queue, and the queue for what failed too often.

variable "name" {
  type = string
}

variable "account_id" {
  type = string
}

variable "region" {
  type = string
}

variable "settings" {
  type = object({ retention_days = number, max_receives = number })
}

variable "key_arn" {
  type = string
}

resource "aws_sqs_queue" "dead" {
  name                      = "${var.name}-dead"
  kms_master_key_id         = var.key_arn
  message_retention_seconds = 14 * 86400 # the longest there is: somebody has to look at them
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = ["arn:aws:sqs:${var.region}:${var.account_id}:${var.name}"]
  })
}

resource "aws_sqs_queue" "this" {
  name                      = var.name
  kms_master_key_id         = var.key_arn
  message_retention_seconds = var.settings.retention_days * 86400
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead.arn
    maxReceiveCount     = var.settings.max_receives
  })
}

output "id" {
  value = aws_sqs_queue.this.url
}

output "name" {
  value = aws_sqs_queue.this.name
}

output "arn" {
  value = aws_sqs_queue.this.arn
}

output "dead" {
  value = { id = aws_sqs_queue.dead.url, arn = aws_sqs_queue.dead.arn, name = aws_sqs_queue.dead.name }
}
