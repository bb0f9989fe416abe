locals {
  tags = merge(var.tags, { cluster = var.name, managed-by = "terraform" })
}

module "network" {
  source = "../../modules/network"

  name             = var.name
  zone             = var.zone
  project          = var.project
  network_offering = var.network_offering
  cidr             = var.network_cidr
  egress_rules     = var.egress_rules
  tags             = local.tags
}

module "compute" {
  source = "../../modules/compute"
  count  = var.mode == "instances" ? 1 : 0

  name               = var.name
  zone               = var.zone
  project            = var.project
  network_id         = module.network.network_id
  template           = var.template
  ssh_public_key     = var.ssh_public_key
  ssh_user           = var.ssh_user
  control_plane      = var.control_plane
  workers            = var.workers
  data_disk_offering = var.data_disk_offering
  affinity_type      = var.affinity_type
  tags               = local.tags
}

module "firewall" {
  source = "../../modules/firewall"
  count  = var.mode == "instances" ? 1 : 0

  name         = var.name
  project      = var.project
  network_id   = module.network.network_id
  public_ip_id = module.network.public_ip_id
  nodes        = module.compute[0].nodes
  admin_cidrs  = var.admin_cidrs
  web_cidrs    = var.web_cidrs
  web_ports    = var.web_ports
}

module "kubernetes" {
  source = "../../modules/kubernetes"
  count  = var.mode == "managed" ? 1 : 0

  name               = var.name
  zone               = var.zone
  project            = var.project
  network_id         = module.network.network_id
  kubernetes_version = var.kubernetes_version
  service_offering   = var.workers.service_offering
  control_nodes      = var.control_plane.count
  workers            = var.workers.count
  root_disk_gb       = coalesce(var.workers.root_disk_gb, 20)
  ssh_public_key     = var.ssh_public_key
}

# Data kept from an earlier cluster; without effect once the volume is in the state.
import {
  for_each = var.mode == "instances" ? var.existing_volumes : {}

  to = module.compute[0].cloudstack_disk.data[each.key]
  id = each.value
}
