# The front of an environment: one listener that splits requests between the blue and the green release by weight.
# With a zone it is public and speaks TLS; without one there is no certificate, and it can be reached from the network only.

variable "name" {
  type = string
}

variable "green_weight" {
  description = "Percent of the requests that go to green."
  type        = number
}

variable "front" {
  description = "The service that faces the users."
  type        = object({ port = number, health_path = string })
}

variable "is_public" {
  type = bool
}

variable "certificate_arn" {
  type = string
}

variable "is_deletion_protected" {
  type = bool
}

variable "network" {
  type = object({ id = string, cidr = string, public_subnet_ids = list(string), private_subnet_ids = list(string) })
}

resource "aws_security_group" "this" {
  #checkov:skip=CKV_AWS_260:port 80 is open to the world only to send it to port 443
  name        = "${var.name}-load-balancer"
  description = "Requests in, to the services out"
  vpc_id      = var.network.id

  dynamic "ingress" {
    for_each = var.is_public ? [80, 443] : [80]
    content {
      description = "Requests"
      protocol    = "tcp"
      from_port   = ingress.value
      to_port     = ingress.value
      cidr_blocks = var.is_public ? ["0.0.0.0/0"] : [var.network.cidr]
    }
  }

  egress {
    description = "To the services"
    protocol    = "tcp"
    from_port   = var.front.port
    to_port     = var.front.port
    cidr_blocks = [var.network.cidr]
  }
}

resource "aws_lb" "this" {
  #checkov:skip=CKV_AWS_91:requests are logged by the services; access logs need a bucket without the environment's key
  #checkov:skip=CKV2_AWS_28:a firewall is the platform's, in front of all environments
  #checkov:skip=CKV_AWS_150:protected where the class protects the environment; a sandbox must be able to end
  name                       = var.name
  internal                   = !var.is_public
  load_balancer_type         = "application"
  security_groups            = [aws_security_group.this.id]
  subnets                    = var.is_public ? var.network.public_subnet_ids : var.network.private_subnet_ids
  drop_invalid_header_fields = true
  enable_deletion_protection = var.is_deletion_protected
}

resource "aws_lb_target_group" "this" {
  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer; the services are in private subnets
  for_each             = toset(["blue", "green"])
  name                 = "${var.name}-${each.key}"
  vpc_id               = var.network.id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = var.front.port
  deregistration_delay = 30
  health_check {
    path     = var.front.health_path
    interval = 10
    timeout  = 5
  }
}

resource "aws_lb_listener" "weighted" {
  #checkov:skip=CKV_AWS_2:HTTPS where there is a zone to prove a certificate by, else inside the network only
  #checkov:skip=CKV_AWS_103:the policy below is TLS 1.3; without a zone there is no TLS
  load_balancer_arn = aws_lb.this.arn
  port              = var.is_public ? 443 : 80
  protocol          = var.is_public ? "HTTPS" : "HTTP"
  certificate_arn   = var.is_public ? var.certificate_arn : null
  ssl_policy        = var.is_public ? "ELBSecurityPolicy-TLS13-1-2-2021-06" : null

  default_action {
    type = "forward"
    forward {
      target_group {
        arn    = aws_lb_target_group.this["blue"].arn
        weight = 100 - var.green_weight
      }
      target_group {
        arn    = aws_lb_target_group.this["green"].arn
        weight = var.green_weight
      }
    }
  }
}

resource "aws_lb_listener" "redirect" {
  count             = var.is_public ? 1 : 0
  load_balancer_arn = aws_lb.this.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type = "redirect"
    redirect {
      protocol    = "HTTPS"
      port        = "443"
      status_code = "HTTP_301"
    }
  }
}

output "id" {
  value = aws_lb.this.name
}

output "arn" {
  value = aws_lb.this.arn
}

output "arn_suffix" {
  value = aws_lb.this.arn_suffix
}

output "dns_name" {
  value = aws_lb.this.dns_name
}

output "zone_id" {
  value = aws_lb.this.zone_id
}
