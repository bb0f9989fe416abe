variable "name" {
  description = "Name of the network."
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

variable "network_offering" {
  description = "Network offering, by name or ID. It must provide source NAT, firewall, port forwarding and load balancing, and deny egress by default."
  type        = string
  default     = "DefaultIsolatedNetworkOfferingWithSourceNatService"
}

variable "cidr" {
  description = "Addresses of the isolated network; must not overlap the cluster's pods (10.244.0.0/16) and services (10.96.0.0/16)."
  type        = string
  default     = "10.10.0.0/24"

  validation {
    condition     = can(cidrhost(var.cidr, 1)) && !strcontains(var.cidr, ":")
    error_message = "cidr '${var.cidr}' is not an IPv4 network; write it like 10.10.0.0/24."
  }
  validation {
    condition     = !can(cidrhost(var.cidr, 1)) || try(cidrhost(var.cidr, 0) == split("/", var.cidr)[0], false)
    error_message = "cidr '${var.cidr}' has host bits set; the network it lies in is ${try(cidrhost(var.cidr, 0), "?")}/${try(split("/", var.cidr)[1], "?")}."
  }
  validation {
    condition     = !can(cidrhost(var.cidr, 1)) || try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 28, false)
    error_message = "cidr '${var.cidr}' must be between /16 and /28: fewer than 14 addresses are too few for a cluster."
  }
}

variable "egress_rules" {
  description = "What instances may reach outside of their network; everything else is dropped. Each rule is a protocol (tcp, udp) and ports ('443' or '8000-8010')."
  type = list(object({
    protocol = string
    ports    = set(string)
  }))
  default = [
    { protocol = "tcp", ports = ["53", "80", "443"] },
    { protocol = "udp", ports = ["53", "123"] },
  ]

  validation {
    condition     = alltrue([for rule in var.egress_rules : contains(["tcp", "udp"], rule.protocol)])
    error_message = "egress_rules: the protocol is 'tcp' or 'udp', not ${join(", ", [for rule in var.egress_rules : "'${rule.protocol}'" if !contains(["tcp", "udp"], rule.protocol)])}."
  }
  validation {
    condition     = alltrue(flatten([for rule in var.egress_rules : [for port in rule.ports : can(regex("^[0-9]{1,5}(-[0-9]{1,5})?$", port))]]))
    error_message = "egress_rules: a port is written '443' or '8000-8010'."
  }
  validation {
    condition     = alltrue([for rule in var.egress_rules : length(rule.ports) > 0])
    error_message = "egress_rules: every rule needs at least one port."
  }
}

variable "tags" {
  description = "Tags put on the network."
  type        = map(string)
  default     = {}
}
