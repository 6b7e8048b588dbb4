# Objects are copied to the recovery region and encrypted there under that region's key.

resource "aws_iam_role" "replication" {
  count                = var.settings.has_replica ? 1 : 0
  name                 = "${var.name}-replication"
  path                 = var.role.path
  permissions_boundary = var.role.boundary
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "replication" {
  count = var.settings.has_replica ? 1 : 0
  name  = "replicate-media"
  role  = aws_iam_role.replication[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
        Resource = module.bucket.arn
      },
      {
        Effect = "Allow"
        Action = [
          "s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging",
        ]
        Resource = "${module.bucket.arn}/*"
      },
      {
        Effect   = "Allow"
        Action   = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
        Resource = "${module.replica[0].arn}/*"
      },
      { Effect = "Allow", Action = "kms:Decrypt", Resource = var.key_arn },
      { Effect = "Allow", Action = "kms:Encrypt", Resource = var.recovery_key_arn },
    ]
  })
}

resource "aws_s3_bucket_replication_configuration" "this" {
  count  = var.settings.has_replica ? 1 : 0
  bucket = module.bucket.versioned_id
  role   = aws_iam_role.replication[0].arn

  rule {
    id     = "recovery"
    status = "Enabled"
    filter {}

    # A deletion is not copied: the recovery region still has what was deleted here.
    delete_marker_replication {
      status = "Disabled"
    }

    source_selection_criteria {
      sse_kms_encrypted_objects {
        status = "Enabled"
      }
    }

    destination {
      bucket        = module.replica[0].arn
      storage_class = "STANDARD_IA"
      encryption_configuration {
        replica_kms_key_id = var.recovery_key_arn
      }
    }
  }

  depends_on = [module.replica]
}
