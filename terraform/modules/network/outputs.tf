output "network_id" {
  description = "ID of the isolated network."
  value       = cloudstack_network.this.id
  # Instances install packages at first boot, so they have to wait for their way out.
  depends_on = [cloudstack_egress_firewall.this]
}

output "cidr" {
  description = "Addresses of the network."
  value       = cloudstack_network.this.cidr
}

output "public_ip_id" {
  description = "ID of the public address."
  value       = cloudstack_network.this.source_nat_ip_id
}

output "public_ip" {
  description = "The public address."
  value       = cloudstack_network.this.source_nat_ip_address
}
