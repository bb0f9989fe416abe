locals {
  # Numbers, not addresses or IDs, make the keys: adding a node never renames another.
  pools = {
    control-plane = var.control_plane
    worker        = var.workers
  }
  nodes = merge([
    for role, pool in local.pools : {
      for index in range(pool.count) : "${var.name}-${role}-${index + 1}" => {
        role             = role
        index            = index
        service_offering = pool.service_offering
        root_disk_gb     = pool.root_disk_gb
        data_volume_gb   = pool.data_volume_gb
      }
    }
  ]...)
  used_roles = toset([for role, pool in local.pools : role if pool.count > 0])
}

resource "cloudstack_ssh_keypair" "admin" {
  name       = "${var.name}-admin"
  public_key = trimspace(var.ssh_public_key)
  project    = var.project
}

resource "cloudstack_affinity_group" "this" {
  for_each = local.used_roles

  name        = "${var.name}-${each.key}"
  type        = var.affinity_type
  description = "${var.name}: ${each.key} instances on different hypervisors"
  project     = var.project
}

resource "cloudstack_instance" "node" {
  for_each = local.nodes

  name               = each.key
  display_name       = each.key
  service_offering   = each.value.service_offering
  template           = var.template
  zone               = var.zone
  project            = var.project
  network_id         = var.network_id
  keypair            = cloudstack_ssh_keypair.admin.name
  affinity_group_ids = [cloudstack_affinity_group.this[each.value.role].id]
  root_disk_size     = each.value.root_disk_gb
  tags               = merge(var.tags, { role = each.value.role })
  user_data = templatefile("${path.module}/templates/cloud-init.yaml.tftpl", {
    hostname       = each.key
    ssh_user       = var.ssh_user
    ssh_public_key = trimspace(var.ssh_public_key)
    packages       = sort(setunion(["ca-certificates", "chrony", "fail2ban", "unattended-upgrades"], var.extra_packages))
  })

  # Without it a destroyed instance keeps its address and its place in the quota until the cloud's own clean-up.
  expunge = true

  lifecycle {
    # cloud-init reads it at first boot only, yet the provider would stop and start every node to hand in a new one.
    ignore_changes = [user_data]
  }
}

# Data outlives nodes: a replaced or resized instance gets its volume back, and Terraform refuses to delete one
# (docs/terraform.md, "Taking it down", says how it is done deliberately).
resource "cloudstack_disk" "data" {
  for_each = { for name, node in local.nodes : name => node if node.data_volume_gb > 0 }

  name               = "${each.key}-data"
  disk_offering      = var.data_disk_offering
  size               = each.value.data_volume_gb
  shrink_ok          = false
  zone               = var.zone
  project            = var.project
  attach             = true
  virtual_machine_id = cloudstack_instance.node[each.key].id
  tags               = merge(var.tags, { role = each.value.role })

  lifecycle {
    prevent_destroy = true
  }
}
