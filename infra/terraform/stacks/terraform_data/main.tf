# An environment without a cloud: Terraform's built-in `terraform_data` stands for every part of AWS's, in the same order of
# making, and each can be told to fail or to be slow. It proves that the choice of a cloud is data, and it makes tests fast.

terraform {
  required_version = ">= 1.11"
  backend "s3" {}
}

locals {
  replicates_database = try(var.database.has_replica, false)
  replicates_media    = try(var.media.has_replica, false)

  # What a part runs when it is made: waits as long as the rehearsal says, then fails where it says so.
  parts = toset([
    "network", "key", "database", "database_replica", "media", "media_replica", "dead_letters", "queue", "cluster",
    "registry", "load_balancer", "secrets", "logs", "notifications", "alarms", "dashboard", "dns",
  ])
  rehearse = {
    for part in local.parts : part => join(" && ", compact([
      "sleep ${lookup(var.rehearsal.slow_seconds, part, 0)}",
      contains(var.rehearsal.fail, part) ? "echo 'rehearsed failure of ${part}' >&2 && exit 1" : "",
    ]))
  }
}

resource "terraform_data" "network" {
  count = var.network != null ? 1 : 0
  input = jsonencode(var.network)
  provisioner "local-exec" {
    command = local.rehearse.network
  }
}

resource "terraform_data" "key" {
  input = jsonencode(var.region)
  provisioner "local-exec" {
    command = local.rehearse.key
  }
}

resource "terraform_data" "database" {
  count      = var.database != null ? 1 : 0
  input      = jsonencode(var.database)
  depends_on = [terraform_data.network, terraform_data.key]
  provisioner "local-exec" {
    command = local.rehearse.database
  }
}

resource "terraform_data" "database_replica" {
  count      = local.replicates_database ? 1 : 0
  input      = jsonencode(var.recovery_region)
  depends_on = [terraform_data.database]
  provisioner "local-exec" {
    command = local.rehearse.database_replica
  }
}

resource "terraform_data" "media" {
  count      = var.media != null ? 1 : 0
  input      = jsonencode(var.media)
  depends_on = [terraform_data.key]
  provisioner "local-exec" {
    command = local.rehearse.media
  }
}

resource "terraform_data" "media_replica" {
  count      = local.replicates_media ? 1 : 0
  input      = jsonencode(var.recovery_region)
  depends_on = [terraform_data.media]
  provisioner "local-exec" {
    command = local.rehearse.media_replica
  }
}

resource "terraform_data" "dead_letters" {
  count      = var.queue != null ? 1 : 0
  input      = jsonencode(var.queue)
  depends_on = [terraform_data.key]
  provisioner "local-exec" {
    command = local.rehearse.dead_letters
  }
}

resource "terraform_data" "queue" {
  count      = var.queue != null ? 1 : 0
  input      = jsonencode(var.queue)
  depends_on = [terraform_data.dead_letters]
  provisioner "local-exec" {
    command = local.rehearse.queue
  }
}

resource "terraform_data" "cluster" {
  count      = var.cluster != null ? 1 : 0
  input      = jsonencode(var.cluster)
  depends_on = [terraform_data.network, terraform_data.key]
  provisioner "local-exec" {
    command = local.rehearse.cluster
  }
}

resource "terraform_data" "registry" {
  count      = var.network != null ? 1 : 0
  input      = jsonencode(keys(var.services))
  depends_on = [terraform_data.key]
  provisioner "local-exec" {
    command = local.rehearse.registry
  }
}

resource "terraform_data" "load_balancer" {
  count      = var.load_balancer != null ? 1 : 0
  input      = jsonencode(var.load_balancer)
  depends_on = [terraform_data.network]
  provisioner "local-exec" {
    command = local.rehearse.load_balancer
  }
}

resource "terraform_data" "secrets" {
  count      = length(var.secrets) > 0 || var.database != null ? 1 : 0
  input      = jsonencode(local.owned_secrets)
  depends_on = [terraform_data.key]
  provisioner "local-exec" {
    command = local.rehearse.secrets
  }
}

resource "terraform_data" "logs" {
  input      = jsonencode(var.log_retention_days)
  depends_on = [terraform_data.key]
  provisioner "local-exec" {
    command = local.rehearse.logs
  }
}

resource "terraform_data" "notifications" {
  count      = var.alarms != null ? 1 : 0
  input      = jsonencode(try(var.alarms.email, null))
  depends_on = [terraform_data.key]
  provisioner "local-exec" {
    command = local.rehearse.notifications
  }
}

resource "terraform_data" "alarms" {
  count      = var.alarms != null ? 1 : 0
  input      = jsonencode(var.alarms)
  depends_on = [terraform_data.notifications]
  provisioner "local-exec" {
    command = local.rehearse.alarms
  }
}

resource "terraform_data" "dashboard" {
  count = var.alarms != null ? 1 : 0
  input = jsonencode(keys(var.services))
  provisioner "local-exec" {
    command = local.rehearse.dashboard
  }
}

resource "terraform_data" "dns" {
  count      = var.dns != null ? 1 : 0
  input      = jsonencode(var.dns)
  depends_on = [terraform_data.load_balancer]
  provisioner "local-exec" {
    command = local.rehearse.dns
  }
}
