# The role that Terrarium's runs assume. It may do what the stacks need, in the account's two regions and on what carries
# Terrarium's names where a service lets a policy name things. The roles it makes are held by the boundary.

locals {
  identities = "arn:aws:iam::${var.account.id}"
  trusted    = length(var.trusted_principals) > 0 ? var.trusted_principals : ["${local.identities}:root"]
  any        = "*" # names of these resources do not exist before they are made
}

resource "aws_iam_role" "terrarium" {
  name                 = "terrarium"
  max_session_duration = 7200
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = local.trusted }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
    }]
  })
}

# Roles of environments may never touch identities, whatever their own policies say.
resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_63:a boundary grants nothing, it limits what other policies grant
  #checkov:skip=CKV_AWS_287:a boundary grants nothing, it limits what other policies grant
  #checkov:skip=CKV2_AWS_40:a boundary grants nothing, and this one denies all of IAM
  name = "boundary"
  path = "/terrarium/"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Action = local.any, Resource = local.any },
      { Effect = "Deny", Action = ["iam:*", "organizations:*", "account:*"], Resource = local.any },
    ]
  })
}

resource "aws_iam_role_policy" "infrastructure" {
  name = "infrastructure"
  role = aws_iam_role.terrarium.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Regional"
        Effect = "Allow"
        Action = [
          "acm:*", "cloudwatch:*", "ec2:*", "ecr:GetAuthorizationToken", "eks:*", "elasticloadbalancing:*", "kms:*",
          "logs:*", "rds:*", "secretsmanager:DescribeSecret", "secretsmanager:GetRandomPassword",
          "secretsmanager:ListSecrets", "secretsmanager:ListSecretVersionIds", "sns:ListTopics", "sns:Unsubscribe",
          "sqs:ListQueues", "tag:*",
        ]
        Resource  = local.any
        Condition = { StringEquals = { "aws:RequestedRegion" = distinct([var.region, var.recovery_region]) } }
      },
      {
        Sid      = "Global"
        Effect   = "Allow"
        Action   = ["route53:*", "s3:ListAllMyBuckets", "iam:ListRoles", "iam:ListPolicies"]
        Resource = local.any
      },
      {
        Sid    = "Named"
        Effect = "Allow"
        Action = ["ecr:*", "s3:*", "secretsmanager:*", "sns:*", "sqs:*"]
        Resource = [
          "arn:aws:ecr:*:${var.account.id}:repository/terrarium/*",
          "arn:aws:s3:::terrarium-*",
          "arn:aws:secretsmanager:*:${var.account.id}:secret:terrarium/*",
          "arn:aws:sns:*:${var.account.id}:terrarium-*",
          "arn:aws:sqs:*:${var.account.id}:terrarium-*",
        ]
      },
    ]
  })
}

resource "aws_iam_role_policy" "identities" {
  name = "identities"
  role = aws_iam_role.terrarium.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "BoundedOnly"
        Effect    = "Allow"
        Action    = ["iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"]
        Resource  = "${local.identities}:role/terrarium/*"
        Condition = { StringEquals = { "iam:PermissionsBoundary" = aws_iam_policy.boundary.arn } }
      },
      {
        Sid    = "Unmake"
        Effect = "Allow"
        Action = [
          "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:DetachRolePolicy", "iam:Get*", "iam:List*", "iam:TagRole",
          "iam:UntagRole", "iam:UpdateAssumeRolePolicy",
        ]
        Resource = "${local.identities}:role/terrarium/*"
      },
      {
        Sid      = "Pass"
        Effect   = "Allow"
        Action   = "iam:PassRole"
        Resource = "${local.identities}:role/terrarium/*"
        Condition = {
          StringEquals = {
            "iam:PassedToService" = [
              "ec2.amazonaws.com", "eks.amazonaws.com", "s3.amazonaws.com", "vpc-flow-logs.amazonaws.com",
            ]
          }
        }
      },
      {
        Sid      = "ServiceLinked"
        Effect   = "Allow"
        Action   = "iam:CreateServiceLinkedRole"
        Resource = "${local.identities}:role/aws-service-role/*"
      },
    ]
  })
}
