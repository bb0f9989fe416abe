variable "name" {
  description = "Prefix of all names."
  type        = string

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "name '${var.name}' becomes part of host names: 1 to 40 lower-case letters, digits and dashes, a letter first, no dash last."
  }
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
  description = "Network of the instances."
  type        = string
}

variable "template" {
  description = "Template with cloud-init, by name or ID (Ubuntu 24.04 or Debian 12)."
  type        = string
}

variable "ssh_public_key" {
  description = "Public key, in OpenSSH form, of whoever administers the nodes. The private key never enters Terraform."
  type        = string

  validation {
    condition     = can(regex("^(ssh-ed25519|ecdsa-sha2-nistp(256|384|521)|sk-ssh-ed25519@openssh\\.com|ssh-rsa) AAAA[0-9A-Za-z+/=]+( .*)?$", trimspace(var.ssh_public_key)))
    error_message = "ssh_public_key is not a public key in OpenSSH form ('ssh-ed25519 AAAA... comment'); give the content of the .pub file, never the private key."
  }
}

variable "ssh_user" {
  description = "User made on the instances, with the key and sudo."
  type        = string
  default     = "titanium"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_-]{0,31}$", var.ssh_user)) && var.ssh_user != "root"
    error_message = "ssh_user '${var.ssh_user}' must be a Linux user name other than root: root cannot log in."
  }
}

variable "control_plane" {
  description = "Control-plane instances. Sizes in GiB; root_disk_gb null takes the template's size; data_volume_gb 0 means no data volume."
  type = object({
    count            = optional(number, 1)
    service_offering = string
    root_disk_gb     = optional(number)
    data_volume_gb   = optional(number, 0)
  })

  validation {
    condition     = contains([1, 3, 5], var.control_plane.count)
    error_message = "control_plane.count is 1, 3 or 5, not ${var.control_plane.count}: etcd needs an odd number to keep a majority."
  }
  validation {
    condition     = try(var.control_plane.root_disk_gb >= 10, true)
    error_message = "control_plane.root_disk_gb must be at least 10."
  }
  validation {
    condition     = var.control_plane.data_volume_gb >= 0 && floor(var.control_plane.data_volume_gb) == var.control_plane.data_volume_gb
    error_message = "control_plane.data_volume_gb must be a whole number of GiB, 0 for none."
  }
}

variable "workers" {
  description = "Worker instances; with count 0 the control plane carries the load. Sizes as in control_plane."
  type = object({
    count            = optional(number, 2)
    service_offering = string
    root_disk_gb     = optional(number)
    data_volume_gb   = optional(number, 50)
  })

  validation {
    condition     = var.workers.count >= 0 && var.workers.count <= 70 && floor(var.workers.count) == var.workers.count
    error_message = "workers.count must be a whole number from 0 to 70, not ${var.workers.count}."
  }
  validation {
    condition     = try(var.workers.root_disk_gb >= 10, true)
    error_message = "workers.root_disk_gb must be at least 10."
  }
  validation {
    condition     = var.workers.data_volume_gb >= 0 && floor(var.workers.data_volume_gb) == var.workers.data_volume_gb
    error_message = "workers.data_volume_gb must be a whole number of GiB, 0 for none."
  }
}

variable "data_disk_offering" {
  description = "Disk offering of the data volumes, by name or ID; it must allow custom sizes."
  type        = string
  default     = "Custom"
}

variable "affinity_type" {
  description = "How instances of one role are kept on different hypervisors."
  type        = string
  default     = "host anti-affinity"

  validation {
    condition     = contains(["host anti-affinity", "non-strict host anti-affinity"], var.affinity_type)
    error_message = "affinity_type is 'host anti-affinity' (refuse to start on a shared hypervisor) or 'non-strict host anti-affinity' (prefer not to; CloudStack 4.18 and newer)."
  }
}

variable "extra_packages" {
  description = "Packages installed at first boot besides those that hardening needs."
  type        = set(string)
  default     = []
}

variable "tags" {
  description = "Tags put on instances and volumes."
  type        = map(string)
  default     = {}
}
