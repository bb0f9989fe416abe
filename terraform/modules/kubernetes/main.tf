resource "cloudstack_ssh_keypair" "admin" {
  name       = "${var.name}-admin"
  public_key = trimspace(var.ssh_public_key)
  project    = var.project
}

resource "cloudstack_kubernetes_cluster" "this" {
  name               = var.name
  description        = "${var.name}: managed cluster of the Titanium platform"
  zone               = var.zone
  project            = var.project
  network_id         = var.network_id
  kubernetes_version = var.kubernetes_version
  service_offering   = var.service_offering
  control_nodes_size = var.control_nodes
  size               = var.workers
  noderootdisksize   = var.root_disk_gb
  keypair            = cloudstack_ssh_keypair.admin.name
}
