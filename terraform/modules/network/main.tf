resource "cloudstack_network" "this" {
  name             = var.name
  display_text     = "${var.name}: nodes of the cluster"
  cidr             = var.cidr
  network_offering = var.network_offering
  zone             = var.zone
  project          = var.project
  tags             = var.tags

  # The first address of an isolated network becomes its source NAT address, which CloudStack releases only together with
  # the network. So it is acquired here, and serves both ways: a cluster needs one public address.
  source_nat_ip = true
}

# managed: rules that somebody added by hand are removed, and rules of an apply that failed half-way are found again.
resource "cloudstack_egress_firewall" "this" {
  network_id = cloudstack_network.this.id
  project    = var.project
  managed    = true

  dynamic "rule" {
    for_each = var.egress_rules
    content {
      # The sources are always the network itself; stating them keeps what CloudStack reports equal to what is asked.
      cidr_list = [var.cidr]
      protocol  = rule.value.protocol
      ports     = rule.value.ports
    }
  }
}
