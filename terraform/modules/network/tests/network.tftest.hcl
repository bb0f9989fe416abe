mock_provider "cloudstack" {}

variables {
  name = "test"
  zone = "zone-1"
}

run "defaults" {
  command = plan

  assert {
    condition     = cloudstack_network.this.cidr == "10.10.0.0/24" && cloudstack_network.this.source_nat_ip
    error_message = "The network has its own public address."
  }
  assert {
    condition     = cloudstack_egress_firewall.this.managed
    error_message = "Rules added by hand must be removed."
  }
  assert {
    condition     = toset(flatten([for rule in cloudstack_egress_firewall.this.rule : tolist(rule.ports)])) == toset(["53", "80", "123", "443"])
    error_message = "By default only DNS, NTP, HTTP and HTTPS go out."
  }
  assert {
    condition     = alltrue([for rule in cloudstack_egress_firewall.this.rule : rule.cidr_list == toset(["10.10.0.0/24"])])
    error_message = "The source of egress is the network itself."
  }
}

run "nothing_goes_out" {
  command = plan

  variables {
    egress_rules = []
  }

  assert {
    condition     = length(cloudstack_egress_firewall.this.rule) == 0
    error_message = "No rules means no way out."
  }
}

run "refuses_no_network" {
  command = plan

  variables {
    cidr = "10.10.0.0"
  }

  expect_failures = [var.cidr]
}

run "refuses_host_bits" {
  command = plan

  variables {
    cidr = "10.10.0.1/24"
  }

  expect_failures = [var.cidr]
}

run "refuses_tiny_network" {
  command = plan

  variables {
    cidr = "10.10.0.0/29"
  }

  expect_failures = [var.cidr]
}

run "refuses_unknown_protocol" {
  command = plan

  variables {
    egress_rules = [{ protocol = "sctp", ports = ["443"] }]
  }

  expect_failures = [var.egress_rules]
}

run "refuses_a_rule_without_ports" {
  command = plan

  variables {
    egress_rules = [{ protocol = "tcp", ports = [] }]
  }

  expect_failures = [var.egress_rules]
}
