locals {
  control_plane = { for name, node in var.nodes : name => node if node.role == "control-plane" }
  workers       = { for name, node in var.nodes : name => node if node.role == "worker" }
  # Node ports answer on every node; workers carry the load when there are any.
  web_members = [for node in(length(local.workers) > 0 ? local.workers : local.control_plane) : node.id]
  ssh_ports = {
    for name, node in var.nodes : name => var.ssh_port_base + 1 + node.index + (node.role == "worker" ? 20 : 0)
  }
}

# All three below are "managed": what somebody opened by hand is closed again, and rules that an apply made before it
# failed are found by the next one instead of being in its way.
resource "cloudstack_firewall" "this" {
  ip_address_id = var.public_ip_id
  project       = var.project
  managed       = true

  rule {
    cidr_list = var.admin_cidrs
    protocol  = "tcp"
    ports     = concat([tostring(var.api_port)], [for port in values(local.ssh_ports) : tostring(port)])
  }

  dynamic "rule" {
    for_each = length(var.web_ports) > 0 && length(var.web_cidrs) > 0 ? [1] : []
    content {
      cidr_list = var.web_cidrs
      protocol  = "tcp"
      ports     = keys(var.web_ports)
    }
  }
}

resource "cloudstack_port_forward" "ssh" {
  ip_address_id = var.public_ip_id
  project       = var.project
  managed       = true

  dynamic "forward" {
    for_each = var.nodes
    content {
      protocol           = "tcp"
      private_port       = 22
      public_port        = local.ssh_ports[forward.key]
      virtual_machine_id = forward.value.id
    }
  }
}

resource "cloudstack_loadbalancer_rule" "api" {
  name          = "${var.name}-api"
  description   = "Kubernetes API of ${var.name}"
  ip_address_id = var.public_ip_id
  network_id    = var.network_id
  project       = var.project
  algorithm     = "roundrobin"
  protocol      = "tcp"
  public_port   = var.api_port
  private_port  = 6443
  member_ids    = [for node in local.control_plane : node.id]
}

resource "cloudstack_loadbalancer_rule" "web" {
  for_each = var.web_ports

  name          = "${var.name}-web-${each.key}"
  description   = "Port ${each.key} of ${var.name}"
  ip_address_id = var.public_ip_id
  network_id    = var.network_id
  project       = var.project
  algorithm     = "leastconn"
  protocol      = "tcp"
  public_port   = tonumber(each.key)
  private_port  = each.value
  member_ids    = local.web_members
}
