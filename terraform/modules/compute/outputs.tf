output "nodes" {
  description = "The instances by name: ID, role, index within the role, private address, data volume (null without)."
  value = {
    for name, node in local.nodes : name => {
      id         = cloudstack_instance.node[name].id
      role       = node.role
      index      = node.index
      private_ip = cloudstack_instance.node[name].ip_address
      data_volume = node.data_volume_gb > 0 ? {
        id      = cloudstack_disk.data[name].id
        size_gb = cloudstack_disk.data[name].size
      } : null
    }
  }
}

output "ssh_user" {
  description = "User to log in as."
  value       = var.ssh_user
}
