output "ssh_ports" {
  description = "Public SSH port of every instance."
  value       = local.ssh_ports
  # A port is worth knowing once it is forwarded and open.
  depends_on = [cloudstack_port_forward.ssh, cloudstack_firewall.this]
}

output "api_port" {
  description = "Public port of the Kubernetes API."
  value       = cloudstack_loadbalancer_rule.api.public_port
}

output "web_ports" {
  description = "Public web port to node port."
  value       = { for port, rule in cloudstack_loadbalancer_rule.web : port => rule.private_port }
}
