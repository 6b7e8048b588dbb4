# Where the services write their logs, what raises an alarm and who is told, and one page that shows it all.

variable "name" {
  type = string
}

variable "region" {
  type = string
}

variable "account_id" {
  type = string
}

variable "key_arn" {
  type = string
}

variable "log_retention_days" {
  type = number
}

variable "alarms" {
  type = object({
    email                = optional(string)
    database_cpu_percent = number
    queue_age_seconds    = number
    error_5xx_count      = number
  })
}

variable "watched" {
  description = "CloudWatch's names of what exists; null for what does not."
  type        = object({ database = string, queue = string, dead_letters = string, load_balancer = object({ suffix = string }) })
}

locals {
  is_on = var.alarms != null
  limit = local.is_on ? var.alarms : { email = null, database_cpu_percent = 0, queue_age_seconds = 0, error_5xx_count = 0 }

  database      = { key = "DBInstanceIdentifier", value = var.watched.database }
  queue         = { key = "QueueName", value = var.watched.queue }
  dead_letters  = { key = "QueueName", value = var.watched.dead_letters }
  load_balancer = { key = "LoadBalancer", value = try(var.watched.load_balancer.suffix, "") }

  # name = [whether it is watched, namespace, metric, statistic, whose, comparison, threshold]
  table = {
    database-cpu     = [var.watched.database != null, "AWS/RDS", "CPUUtilization", "Average", local.database, "GreaterThanThreshold", local.limit.database_cpu_percent]
    database-storage = [var.watched.database != null, "AWS/RDS", "FreeStorageSpace", "Minimum", local.database, "LessThanThreshold", 2147483648]
    queue-age        = [var.watched.queue != null, "AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", local.queue, "GreaterThanThreshold", local.limit.queue_age_seconds]
    dead-letters     = [var.watched.queue != null, "AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", local.dead_letters, "GreaterThanThreshold", 0]
    errors-5xx       = [var.watched.load_balancer != null, "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "Sum", local.load_balancer, "GreaterThanThreshold", local.limit.error_5xx_count]
  }
  signals = {
    for name, row in local.table : name => {
      namespace = row[1], metric = row[2], statistic = row[3], of = row[4], comparison = row[5], threshold = row[6]
    } if local.is_on && row[0]
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/terrarium/${var.name}/services"
  kms_key_id        = var.key_arn
  retention_in_days = var.log_retention_days
}

resource "aws_sns_topic" "this" {
  count             = local.is_on ? 1 : 0
  name              = "${var.name}-alarms"
  kms_master_key_id = var.key_arn
}

resource "aws_sns_topic_policy" "this" {
  count = local.is_on ? 1 : 0
  arn   = aws_sns_topic.this[0].arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Alarms"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this[0].arn
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_sns_topic_subscription" "email" {
  count     = local.limit.email == null ? 0 : 1
  topic_arn = aws_sns_topic.this[0].arn
  protocol  = "email"
  endpoint  = local.limit.email
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.signals
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.metric} of ${var.name}"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  dimensions          = { (each.value.of.key) = each.value.of.value }
  period              = 60
  evaluation_periods  = 5
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this[0].arn]
  ok_actions          = [aws_sns_topic.this[0].arn]
}

resource "aws_cloudwatch_dashboard" "this" {
  count          = local.is_on ? 1 : 0
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = [
      for name, signal in local.signals : {
        type   = "metric"
        width  = 12
        height = 6
        properties = {
          title   = name
          region  = var.region
          stat    = signal.statistic
          period  = 60
          metrics = [[signal.namespace, signal.metric, signal.of.key, signal.of.value]]
        }
      }
    ]
  })
}

output "logs" {
  value = { id = aws_cloudwatch_log_group.this.name, arn = aws_cloudwatch_log_group.this.arn }
}

output "notifications" {
  value = one([for topic in aws_sns_topic.this : { id = topic.name, arn = topic.arn }])
}

output "dashboard" {
  value = one([for dashboard in aws_cloudwatch_dashboard.this : { id = dashboard.dashboard_name, arn = dashboard.dashboard_arn }])
}

output "alarms" {
  value = local.is_on ? { id = var.name, arn = "arn:aws:cloudwatch:${var.region}:${var.account_id}:alarm:${var.name}-*" } : null
}
