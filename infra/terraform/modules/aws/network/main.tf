# A network over several zones. Private subnets always; public ones, and a way out, where `is_public`.
# Rules and routes stand inside their group or table: so a rule that somebody adds by hand is drift, and is taken away.

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

variable "cidr" {
  type = string
}

variable "zones" {
  type = number
}

variable "nat_gateways" {
  type = number
}

variable "is_public" {
  type = bool
}

variable "key_arn" {
  type = string
}

variable "log_retention_days" {
  type = number
}

variable "role" {
  description = "Where roles of this environment live: path and permissions boundary."
  type        = object({ path = string, boundary = string })
}

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:only the first zones by name are used, and a new zone's name sorts behind them
  state = "available"
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_region" "current" {}

locals {
  zones   = slice(data.aws_availability_zones.available.names, 0, var.zones)
  private = { for index, zone in local.zones : zone => cidrsubnet(var.cidr, 4, index) }
  public  = { for index, zone in local.zones : zone => cidrsubnet(var.cidr, 4, 8 + index) if var.is_public }
  # Where zones outnumber the NAT gateways, the later zones share the last one.
  nat_zones = slice(local.zones, 0, min(var.nat_gateways, length(local.public)))
  tables    = length(local.nat_zones) > 0 ? local.nat_zones : slice(local.zones, 0, 1)
  table_of  = { for index, zone in local.zones : zone => local.tables[min(index, length(local.tables) - 1)] }
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = { Name = var.name }
}

# No rules: nothing can use the group that every network is born with.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "private" {
  for_each          = local.private
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_subnet" "public" {
  for_each          = local.public
  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = { Name = "${var.name}-public-${each.key}" }
}

resource "aws_internet_gateway" "this" {
  count  = var.is_public ? 1 : 0
  vpc_id = aws_vpc.this.id
  tags   = { Name = var.name }
}

resource "aws_eip" "nat" {
  for_each = toset(local.nat_zones)
  domain   = "vpc"
  tags     = { Name = "${var.name}-nat-${each.key}" }
}

resource "aws_nat_gateway" "this" {
  for_each      = toset(local.nat_zones)
  allocation_id = aws_eip.nat[each.key].id
  subnet_id     = aws_subnet.public[each.key].id
  tags          = { Name = "${var.name}-${each.key}" }
  depends_on    = [aws_internet_gateway.this]
}

resource "aws_route_table" "public" {
  count  = var.is_public ? 1 : 0
  vpc_id = aws_vpc.this.id
  route {
    cidr_block = "0.0.0.0/0"
    gateway_id = aws_internet_gateway.this[0].id
  }
  tags = { Name = "${var.name}-public" }
}

resource "aws_route_table" "private" {
  for_each = toset(local.tables)
  vpc_id   = aws_vpc.this.id
  dynamic "route" {
    for_each = contains(local.nat_zones, each.key) ? [1] : []
    content {
      cidr_block     = "0.0.0.0/0"
      nat_gateway_id = aws_nat_gateway.this[each.key].id
    }
  }
  tags = { Name = "${var.name}-private-${each.key}" }
}

resource "aws_route_table_association" "public" {
  for_each       = local.public
  subnet_id      = aws_subnet.public[each.key].id
  route_table_id = aws_route_table.public[0].id
}

resource "aws_route_table_association" "private" {
  for_each       = local.private
  subnet_id      = aws_subnet.private[each.key].id
  route_table_id = aws_route_table.private[local.table_of[each.key]].id
}

# Objects reach S3 without leaving the provider's network or paying for the NAT gateway.
resource "aws_vpc_endpoint" "s3" {
  vpc_id          = aws_vpc.this.id
  service_name    = "com.amazonaws.${data.aws_region.current.name}.s3"
  route_table_ids = [for table in aws_route_table.private : table.id]
  tags            = { Name = "${var.name}-s3" }
}

output "id" {
  value = aws_vpc.this.id
}

output "arn" {
  value = aws_vpc.this.arn
}

output "cidr" {
  value = var.cidr
}

output "private_subnet_ids" {
  value = [for zone in local.zones : aws_subnet.private[zone].id]
}

output "public_subnet_ids" {
  value = [for zone in keys(local.public) : aws_subnet.public[zone].id]
}
