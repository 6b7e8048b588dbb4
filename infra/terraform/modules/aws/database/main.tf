# An encrypted PostgreSQL in the private subnets. Its password is drawn by Secrets Manager, kept there and nowhere else:
# both places are write-only, so neither state nor plan holds it. (A password that RDS manages forbids replicas.)

variable "name" {
  type = string
}

variable "secret_name" {
  type = string
}

variable "generation" {
  type = number
}

variable "settings" {
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

variable "network" {
  type = object({ id = string, cidr = string, subnet_ids = list(string) })
}

variable "key_arn" {
  type = string
}

variable "storage_key_arn" {
  description = "Of the data, and so of its snapshots: a snapshot is lost with its key."
  type        = string
}

variable "log_retention_days" {
  type = number
}

ephemeral "aws_secretsmanager_random_password" "new" {
  password_length     = 32
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "password" {
  #checkov:skip=CKV2_AWS_57:not rotated yet; the rotation pipeline will
  name                    = var.secret_name
  description             = "Password of ${var.name}'s database owner"
  kms_key_id              = var.key_arn
  recovery_window_in_days = 7
}

resource "aws_secretsmanager_secret_version" "password" {
  secret_id                = aws_secretsmanager_secret.password.id
  secret_string_wo         = ephemeral.aws_secretsmanager_random_password.new.random_password
  secret_string_wo_version = 1
}

# Read back from the secret: an apply that failed between secret and database still gives the database the same one.
ephemeral "aws_secretsmanager_secret_version" "password" {
  secret_id  = aws_secretsmanager_secret.password.id
  version_id = aws_secretsmanager_secret_version.password.version_id
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
  description = "Private subnets of ${var.name}"
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
  #checkov:skip=CKV2_AWS_30:logged statements would carry people's data; slow ones show in Performance Insights
  #checkov:skip=CKV_AWS_157:several zones where the class asks for them
  #checkov:skip=CKV_AWS_293:protected where the class protects the environment; a sandbox must be able to end
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.settings.engine_version
  instance_class = var.settings.instance_class
  db_name        = "app"
  username       = "owner"

  password_wo         = ephemeral.aws_secretsmanager_secret_version.password.secret_string
  password_wo_version = aws_secretsmanager_secret_version.password.secret_string_wo_version

  allocated_storage     = var.settings.storage_gib
  max_allocated_storage = var.settings.storage_gib * 2
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = var.storage_key_arn

  db_subnet_group_name                = aws_db_subnet_group.this.name
  vpc_security_group_ids              = [aws_security_group.this.id]
  publicly_accessible                 = false
  multi_az                            = var.settings.is_multi_zone
  iam_database_authentication_enabled = true
  auto_minor_version_upgrade          = true
  copy_tags_to_snapshot               = true
  enabled_cloudwatch_logs_exports     = local.logs
  performance_insights_enabled        = true
  performance_insights_kms_key_id     = var.key_arn

  backup_retention_period   = var.settings.backup_retention_days
  deletion_protection       = var.settings.is_deletion_protected
  skip_final_snapshot       = !var.settings.keep_final_snapshot
  final_snapshot_identifier = "${var.name}-g${var.generation}-final"
  delete_automated_backups  = true

  depends_on = [aws_cloudwatch_log_group.this]
}

output "id" {
  value = aws_db_instance.this.identifier
}

output "arn" {
  value = aws_db_instance.this.arn
}

output "storage_limit_gib" {
  value = aws_db_instance.this.max_allocated_storage
}

output "endpoint" {
  value = aws_db_instance.this.endpoint
}

output "secret_name" {
  value = aws_secretsmanager_secret.password.name
}
