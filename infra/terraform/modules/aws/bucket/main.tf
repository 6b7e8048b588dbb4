# A private bucket: versioned, encrypted with the given key, no public access, TLS only.

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

variable "key_arn" {
  type = string
}

variable "empty_on_destroy" {
  type    = bool
  default = false
}

variable "has_object_lock" {
  type    = bool
  default = false
}

variable "noncurrent_days" {
  description = "How long an overwritten or deleted object can still be had back."
  type        = number
}

variable "expire_days" {
  description = "Objects below these prefixes are deleted after so many days."
  type        = map(number)
  default     = {}
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:object access is recorded by the account's trail; a log bucket would need one of its own
  #checkov:skip=CKV_AWS_144:the media module replicates where the class asks for it; state and vault stay in their region
  #checkov:skip=CKV2_AWS_62:nothing listens to object events
  bucket              = var.name
  force_destroy       = var.empty_on_destroy
  object_lock_enabled = var.has_object_lock
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "this" {
  # One S3 configuration call at a time: AWS answers 409 to a policy and an access block set together.
  bucket = aws_s3_bucket_public_access_block.this.bucket
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket_versioning.this.bucket

  rule {
    id     = "noncurrent"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = var.noncurrent_days
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  dynamic "rule" {
    for_each = var.expire_days
    content {
      id     = "expire-${trimsuffix(rule.key, "/")}"
      status = "Enabled"
      filter {
        prefix = rule.key
      }
      expiration {
        days = rule.value
      }
      noncurrent_version_expiration {
        noncurrent_days = rule.value
      }
    }
  }
}

output "id" {
  value = aws_s3_bucket.this.id
}

output "arn" {
  value = aws_s3_bucket.this.arn
}

# For what needs the bucket versioned first: replication, object lock.
output "versioned_id" {
  value = aws_s3_bucket_versioning.this.bucket
}
