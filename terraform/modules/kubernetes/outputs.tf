output "cluster_id" {
  description = "ID of the cluster; what getKubernetesClusterConfig asks for."
  value       = cloudstack_kubernetes_cluster.this.id
}

output "public_ip" {
  description = "Address of the Kubernetes API."
  value       = cloudstack_kubernetes_cluster.this.ip_address
}
