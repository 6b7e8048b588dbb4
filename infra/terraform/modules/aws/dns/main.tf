# The environment's zone, its certificate, and the name users type.
# The certificate is proved by a record in the zone: on AWS the parent has to delegate the zone first (its name servers are
# an output). Until then the certificate waits, the apply ends with its time limit, and the next one continues.

variable "zone" {
  type = string
}

variable "is_failover" {
  type = bool
}

variable "health_path" {
  type = string
}

variable "load_balancer" {
  type = object({ dns_name = string, zone_id = string })
}

resource "aws_route53_zone" "this" {
  #checkov:skip=CKV2_AWS_38:signing needs a key in us-east-1 and the parent's DS record: the platform's step, not an environment's
  #checkov:skip=CKV2_AWS_39:query logs need a log group in us-east-1; the load balancer's metrics show who asks
  name          = var.zone
  force_destroy = true # a record that somebody added by hand must not keep a dead environment alive
}

resource "aws_acm_certificate" "this" {
  domain_name       = var.zone
  validation_method = "DNS"
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_route53_record" "validation" {
  zone_id         = aws_route53_zone.this.zone_id
  name            = one(aws_acm_certificate.this.domain_validation_options).resource_record_name
  type            = one(aws_acm_certificate.this.domain_validation_options).resource_record_type
  records         = [one(aws_acm_certificate.this.domain_validation_options).resource_record_value]
  ttl             = 60
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  certificate_arn         = aws_acm_certificate.this.arn
  validation_record_fqdns = [aws_route53_record.validation.fqdn]
  timeouts {
    create = "10m"
  }
}

resource "aws_route53_health_check" "this" {
  count             = var.is_failover ? 1 : 0
  type              = "HTTPS"
  fqdn              = var.load_balancer.dns_name
  port              = 443
  resource_path     = var.health_path
  failure_threshold = 3
  request_interval  = 10
  tags              = { Name = var.zone }
}

resource "aws_route53_record" "this" {
  zone_id         = aws_route53_zone.this.zone_id
  name            = var.zone
  type            = "A"
  set_identifier  = var.is_failover ? "primary" : null
  health_check_id = one(aws_route53_health_check.this[*].id)
  alias {
    name                   = var.load_balancer.dns_name
    zone_id                = var.load_balancer.zone_id
    evaluate_target_health = true
  }
  dynamic "failover_routing_policy" {
    for_each = var.is_failover ? ["PRIMARY"] : []
    content {
      type = failover_routing_policy.value
    }
  }
}

resource "aws_route53_record" "secondary" {
  count          = var.is_failover ? 1 : 0
  zone_id        = aws_route53_zone.this.zone_id
  name           = var.zone
  type           = "A"
  set_identifier = "secondary"
  alias {
    name                   = aws_route53_record.standby[0].fqdn
    zone_id                = aws_route53_zone.this.zone_id
    evaluate_target_health = false
  }
  failover_routing_policy {
    type = "SECONDARY"
  }
}

# Where the recovery region answers. Nothing does until a recovery brings it up and writes its address here.
resource "aws_route53_record" "standby" {
  #checkov:skip=CKV2_AWS_23:an address of the documentation range stands for "nothing yet"
  count   = var.is_failover ? 1 : 0
  zone_id = aws_route53_zone.this.zone_id
  name    = "standby.${var.zone}"
  type    = "A"
  ttl     = 60
  records = ["192.0.2.1"]
  lifecycle {
    ignore_changes = [records] # the recovery's, not a drift
  }
}

output "id" {
  value = aws_route53_zone.this.zone_id
}

output "arn" {
  value = aws_route53_zone.this.arn
}

output "name_servers" {
  value = aws_route53_zone.this.name_servers
}

output "certificate_arn" {
  value = aws_acm_certificate_validation.this.certificate_arn
}
