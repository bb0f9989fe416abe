variable "name" {
  description = "Prefix of the rules' names."
  type        = string
}

variable "project" {
  description = "Project, by name or ID; null means the account's own resources."
  type        = string
  default     = null
}

variable "public_ip_id" {
  description = "ID of the public address that the rules are on."
  type        = string
}

variable "network_id" {
  description = "Network of the instances."
  type        = string
}

variable "nodes" {
  description = "Instances by name, as the module compute gives them."
  type = map(object({
    id    = string
    role  = string
    index = number
  }))

  validation {
    condition     = anytrue([for node in var.nodes : node.role == "control-plane"])
    error_message = "nodes must contain at least one control-plane instance: the API is balanced over them."
  }
}

variable "admin_cidrs" {
  description = "Networks that may reach SSH and the Kubernetes API. There is no default: name them."
  type        = set(string)

  validation {
    condition     = length(var.admin_cidrs) > 0
    error_message = "admin_cidrs is empty: nobody could reach the nodes. Name at least one network, such as your office's 203.0.113.0/24."
  }
  validation {
    condition     = alltrue([for cidr in var.admin_cidrs : can(cidrhost(cidr, 0)) && !strcontains(cidr, ":")])
    error_message = "admin_cidrs: not an IPv4 network: ${join(", ", [for cidr in var.admin_cidrs : "'${cidr}'" if !can(cidrhost(cidr, 0)) || strcontains(cidr, ":")])}; write it like 203.0.113.0/24, one address like 203.0.113.7/32."
  }
  validation {
    # /8 also stops the whole Internet written as two halves.
    condition     = alltrue([for cidr in var.admin_cidrs : try(tonumber(split("/", cidr)[1]) >= 8, true)])
    error_message = "admin_cidrs: ${join(", ", [for cidr in var.admin_cidrs : cidr if try(tonumber(split("/", cidr)[1]) < 8, false)])} would open SSH and the Kubernetes API to the Internet; name the networks of administrators, /8 or smaller."
  }
}

variable "web_cidrs" {
  description = "Networks that may reach the web ports; everyone by default."
  type        = set(string)
  default     = ["0.0.0.0/0"]

  validation {
    condition     = alltrue([for cidr in var.web_cidrs : can(cidrhost(cidr, 0)) && !strcontains(cidr, ":")])
    error_message = "web_cidrs must be IPv4 networks such as 0.0.0.0/0 or 203.0.113.0/24."
  }
}

variable "web_ports" {
  description = "Public port to node port of the ingress gateway."
  type        = map(number)
  default = {
    "80"  = 31304
    "443" = 31443
  }

  validation {
    condition     = alltrue([for port, node_port in var.web_ports : can(regex("^[0-9]+$", port)) && try(tonumber(port) > 0 && tonumber(port) < 65536, false) && node_port >= 30000 && node_port <= 32767])
    error_message = "web_ports maps a public port (1 to 65535) to a node port (30000 to 32767)."
  }
  validation {
    condition     = length(setintersection(keys(var.web_ports), [tostring(var.api_port)])) == 0 && alltrue([for port in keys(var.web_ports) : !try(tonumber(port) > var.ssh_port_base && tonumber(port) < var.ssh_port_base + 100, false)])
    error_message = "web_ports must not contain the API's port or one of the SSH ports: those are for administrators only."
  }
}

variable "api_port" {
  description = "Public port of the Kubernetes API."
  type        = number
  default     = 6443
}

variable "ssh_port_base" {
  description = "Control-plane instance n is reached by SSH at this port plus n, worker n at this port plus 20 plus n."
  type        = number
  default     = 2200

  validation {
    condition     = var.ssh_port_base >= 1024 && var.ssh_port_base <= 65000
    error_message = "ssh_port_base must be between 1024 and 65000, not ${var.ssh_port_base}."
  }
}
