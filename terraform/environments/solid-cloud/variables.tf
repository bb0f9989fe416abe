variable "name" {
  description = "Name of the cluster and prefix of everything made for it."
  type        = string
  default     = "titanium"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$", var.name))
    error_message = "name '${var.name}' becomes part of host names: 1 to 40 lower-case letters, digits and dashes, a letter first, no dash last."
  }
}

variable "zone" {
  description = "Zone, by name or ID."
  type        = string

  validation {
    condition     = length(trimspace(var.zone)) > 0
    error_message = "zone is empty; ./preflight.py lists the zones of the account."
  }
}

variable "project" {
  description = "Project, by name or ID; null means the account's own resources."
  type        = string
  default     = null
}

variable "mode" {
  description = "'instances': machines on which Ansible installs k3s. 'managed': CloudStack's own Kubernetes service."
  type        = string
  default     = "instances"

  validation {
    condition     = contains(["instances", "managed"], var.mode)
    error_message = "mode is 'instances' or 'managed', not '${var.mode}'."
  }
}

variable "admin_cidrs" {
  description = "Networks that may reach SSH and the Kubernetes API. There is no default: name them."
  type        = set(string)
}

variable "web_cidrs" {
  description = "Networks that may reach the web ports; everyone by default."
  type        = set(string)
  default     = ["0.0.0.0/0"]
}

variable "web_ports" {
  description = "Public port to node port of the ingress gateway."
  type        = map(number)
  default = {
    "80"  = 31304
    "443" = 31443
  }
}

variable "ssh_public_key" {
  description = "Public key, in OpenSSH form, of whoever administers the nodes. The private key never enters Terraform."
  type        = string
}

variable "ssh_user" {
  description = "User made on the instances, with the key and sudo."
  type        = string
  default     = "titanium"
}

variable "network_offering" {
  description = "Network offering, by name or ID, for an isolated network that lets nothing out by default."
  type        = string
  default     = "DefaultIsolatedNetworkOfferingWithSourceNatService"
}

variable "network_cidr" {
  description = "Addresses of the isolated network."
  type        = string
  default     = "10.10.0.0/24"
}

variable "egress_rules" {
  description = "What instances may reach outside of their network; everything else is dropped."
  type = list(object({
    protocol = string
    ports    = set(string)
  }))
  default = [
    { protocol = "tcp", ports = ["53", "80", "443"] },
    { protocol = "udp", ports = ["53", "123"] },
  ]
}

variable "template" {
  description = "Template with cloud-init, by name or ID (Ubuntu 24.04 or Debian 12); mode 'instances' needs it."
  type        = string
  default     = null

  validation {
    condition     = var.mode != "instances" || try(length(var.template) > 0, false)
    error_message = "template is needed with mode 'instances'; ./preflight.py lists the templates of the zone."
  }
}

variable "control_plane" {
  description = "Control-plane nodes. Sizes in GiB; root_disk_gb null takes the template's size; data_volume_gb 0 means none."
  type = object({
    count            = optional(number, 1)
    service_offering = string
    root_disk_gb     = optional(number)
    data_volume_gb   = optional(number, 0)
  })
}

variable "workers" {
  description = "Worker nodes; with count 0 the control plane carries the load. With mode 'managed' all nodes have the workers' service offering and root disk."
  type = object({
    count            = optional(number, 2)
    service_offering = string
    root_disk_gb     = optional(number)
    data_volume_gb   = optional(number, 50)
  })
}

variable "data_disk_offering" {
  description = "Disk offering of the data volumes, by name or ID; it must allow custom sizes."
  type        = string
  default     = "Custom"
}

variable "existing_volumes" {
  description = "Data volumes kept from an earlier cluster, by node name: the volume's ID. They are taken over instead of made."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for id in values(var.existing_volumes) : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "existing_volumes: not a volume's ID: ${join(", ", [for id in values(var.existing_volumes) : "'${id}'" if !can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])}."
  }
}

variable "affinity_type" {
  description = "How instances of one role are kept on different hypervisors."
  type        = string
  default     = "host anti-affinity"
}

variable "kubernetes_version" {
  description = "Kubernetes version by its name in CloudStack; mode 'managed' needs it."
  type        = string
  default     = null

  validation {
    condition     = var.mode != "managed" || try(length(var.kubernetes_version) > 0, false)
    error_message = "kubernetes_version is needed with mode 'managed'; ./preflight.py lists the versions of the zone."
  }
}

variable "managed_api_is_public" {
  description = "Agreement that mode 'managed' opens the Kubernetes API and SSH to everyone: CloudStack makes those rules itself."
  type        = bool
  default     = false

  validation {
    condition     = var.mode != "managed" || var.managed_api_is_public
    error_message = "mode 'managed': CloudStack itself opens ports 6443 and 2222 and up to everyone, past admin_cidrs. Set managed_api_is_public = true to accept that, or use mode 'instances'."
  }
}

variable "tags" {
  description = "Tags put on everything that can carry them."
  type        = map(string)
  default     = {}
}
