mock_provider "cloudstack" {}

variables {
  name         = "test"
  public_ip_id = "ip"
  network_id   = "network"
  admin_cidrs  = ["203.0.113.0/24"]
  nodes = {
    test-control-plane-1 = { id = "c1", role = "control-plane", index = 0 }
    test-worker-1        = { id = "w1", role = "worker", index = 0 }
    test-worker-2        = { id = "w2", role = "worker", index = 1 }
  }
}

run "ports" {
  command = plan

  assert {
    condition     = [for name in sort(keys(output.ssh_ports)) : output.ssh_ports[name]] == [2201, 2221, 2222]
    error_message = "Every node has an SSH port of its own."
  }
  assert {
    condition = alltrue([
      for rule in cloudstack_firewall.this.rule : rule.cidr_list == toset(["203.0.113.0/24"])
      if length(setintersection(rule.ports, ["6443", "2201", "2221", "2222"])) > 0
    ])
    error_message = "Admin ports are open to admin networks only."
  }
  assert {
    condition     = one([for rule in cloudstack_firewall.this.rule : rule.ports if contains(rule.cidr_list, "0.0.0.0/0")]) == toset(["80", "443"])
    error_message = "Only web ports are open to everyone."
  }
  assert {
    condition     = cloudstack_firewall.this.managed && cloudstack_port_forward.ssh.managed
    error_message = "Rules added by hand must be removed."
  }
  assert {
    condition     = cloudstack_loadbalancer_rule.web["80"].member_ids == toset(["w1", "w2"]) && cloudstack_loadbalancer_rule.api.member_ids == toset(["c1"])
    error_message = "Workers serve the web, the control plane serves the API."
  }
}

run "control_plane_serves_the_web_without_workers" {
  command = plan

  variables {
    nodes = { test-control-plane-1 = { id = "c1", role = "control-plane", index = 0 } }
  }

  assert {
    condition     = cloudstack_loadbalancer_rule.web["443"].member_ids == toset(["c1"])
    error_message = "Without workers the control plane carries the load."
  }
}

run "web_can_be_closed" {
  command = plan

  variables {
    web_cidrs = []
  }

  assert {
    condition     = length(cloudstack_firewall.this.rule) == 1
    error_message = "Without web networks only the admin rule remains."
  }
}

run "refuses_the_internet" {
  command = plan

  variables {
    admin_cidrs = ["203.0.113.0/24", "0.0.0.0/0"]
  }

  expect_failures = [var.admin_cidrs]
}

run "refuses_the_internet_in_parts" {
  command = plan

  variables {
    admin_cidrs = ["0.0.0.0/2", "64.0.0.0/2"]
  }

  expect_failures = [var.admin_cidrs]
}

run "refuses_nobody" {
  command = plan

  variables {
    admin_cidrs = []
  }

  expect_failures = [var.admin_cidrs]
}

run "refuses_web_on_the_api_port" {
  command = plan

  variables {
    web_ports = { "6443" = 31443 }
  }

  expect_failures = [var.web_ports]
}

run "refuses_other_than_node_ports" {
  command = plan

  variables {
    web_ports = { "80" = 8080 }
  }

  expect_failures = [var.web_ports]
}

run "refuses_no_control_plane" {
  command = plan

  variables {
    nodes = { test-worker-1 = { id = "w1", role = "worker", index = 0 } }
  }

  expect_failures = [var.nodes]
}
