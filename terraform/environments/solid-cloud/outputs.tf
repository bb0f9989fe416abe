# The one output that others read. A change that would break a reader raises schema_version; docs/terraform.md and
# inventory.schema.json describe it, and a test validates it.
output "inventory" {
  description = "Everything an inventory needs to know; no secrets."
  value = {
    schema_version = 1
    name           = var.name
    mode           = var.mode
    zone           = var.zone
    network = {
      id   = module.network.network_id
      cidr = module.network.cidr
    }
    public_ip = {
      id      = module.network.public_ip_id
      address = module.network.public_ip
    }
    api = {
      host = var.mode == "managed" ? module.kubernetes[0].public_ip : module.network.public_ip
      port = var.mode == "managed" ? 6443 : module.firewall[0].api_port
    }
    managed_cluster_id = one(module.kubernetes[*].cluster_id)
    web_ports          = merge(module.firewall[*].web_ports...)
    ssh_user           = one(module.compute[*].ssh_user)
    hosts = merge([
      for compute in module.compute : {
        for name, node in compute.nodes : name => {
          id          = node.id
          role        = node.role
          private_ip  = node.private_ip
          ssh_port    = module.firewall[0].ssh_ports[name]
          data_volume = node.data_volume
        }
      }
    ]...)
  }
}
