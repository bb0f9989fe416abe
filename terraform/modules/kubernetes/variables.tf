variable "name" {
  description = "Name of the cluster."
  type        = string
}

variable "zone" {
  description = "Zone, by name or ID."
  type        = string
}

variable "project" {
  description = "Project, by name or ID; null means the account's own resources."
  type        = string
  default     = null
}

variable "network_id" {
  description = "Network of the cluster."
  type        = string
}

variable "kubernetes_version" {
  description = "A version that the cloud supports, by its name or ID in CloudStack."
  type        = string
}

variable "service_offering" {
  description = "Service offering of all nodes; at least 2 CPUs and 2 GiB."
  type        = string
}

variable "control_nodes" {
  description = "Control-plane nodes."
  type        = number
  default     = 1

  validation {
    condition     = contains([1, 3, 5], var.control_nodes)
    error_message = "control_nodes is 1, 3 or 5, not ${var.control_nodes}: etcd needs an odd number to keep a majority."
  }
}

variable "workers" {
  description = "Worker nodes."
  type        = number
  default     = 2

  validation {
    condition     = var.workers >= 1 && floor(var.workers) == var.workers
    error_message = "workers must be a whole number, at least 1."
  }
}

variable "root_disk_gb" {
  description = "Root disk of every node, in GiB."
  type        = number
  default     = 20

  validation {
    condition     = var.root_disk_gb >= 8
    error_message = "root_disk_gb must be at least 8."
  }
}

variable "ssh_public_key" {
  description = "Public key, in OpenSSH form, of whoever administers the nodes."
  type        = string
}
