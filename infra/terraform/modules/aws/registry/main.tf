# A repository of images for each service.

variable "environment" {
  type = string
}

variable "services" {
  type = set(string)
}

variable "key_arn" {
  type = string
}

variable "empty_on_destroy" {
  type = bool
}

resource "aws_ecr_repository" "this" {
  for_each             = var.services
  name                 = "terrarium/${var.environment}/${each.key}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.empty_on_destroy
  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.key_arn
  }
  image_scanning_configuration {
    scan_on_push = true
  }
}

output "id" {
  value = "terrarium/${var.environment}"
}

output "arn" {
  value = one(distinct([for repository in aws_ecr_repository.this : replace(repository.arn, "/[^/]+$/", "*")]))
}

output "urls" {
  value = { for service, repository in aws_ecr_repository.this : service => repository.repository_url }
}
