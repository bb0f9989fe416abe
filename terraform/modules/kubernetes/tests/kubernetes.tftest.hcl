mock_provider "cloudstack" {}

variables {
  name               = "test"
  zone               = "zone-1"
  network_id         = "network"
  kubernetes_version = "v1.32.5"
  service_offering   = "Medium"
  ssh_public_key     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE3ZbC0H0bT0m9mB8lq1cVdT5o9y0sXg2r7Q4m1v8a2K test"
}

run "defaults" {
  command = plan

  assert {
    condition     = cloudstack_kubernetes_cluster.this.size == 2 && cloudstack_kubernetes_cluster.this.control_nodes_size == 1
    error_message = "One control-plane node and two workers."
  }
  assert {
    condition     = cloudstack_kubernetes_cluster.this.keypair == "test-admin"
    error_message = "Nodes take the administrator's key."
  }
}

run "refuses_even_control_planes" {
  command = plan

  variables {
    control_nodes = 2
  }

  expect_failures = [var.control_nodes]
}

run "refuses_no_workers" {
  command = plan

  variables {
    workers = 0
  }

  expect_failures = [var.workers]
}

run "refuses_small_disks" {
  command = plan

  variables {
    root_disk_gb = 4
  }

  expect_failures = [var.root_disk_gb]
}
