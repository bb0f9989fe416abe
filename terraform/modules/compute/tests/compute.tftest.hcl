mock_provider "cloudstack" {}

variables {
  name           = "test"
  zone           = "zone-1"
  network_id     = "network"
  template       = "Ubuntu 24.04"
  ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE3ZbC0H0bT0m9mB8lq1cVdT5o9y0sXg2r7Q4m1v8a2K test"
  control_plane  = { count = 3, service_offering = "Medium" }
  workers        = { count = 2, service_offering = "Large", root_disk_gb = 40, data_volume_gb = 100 }
}

run "nodes" {
  command = plan

  assert {
    condition     = toset(keys(cloudstack_instance.node)) == toset(["test-control-plane-1", "test-control-plane-2", "test-control-plane-3", "test-worker-1", "test-worker-2"])
    error_message = "Nodes are numbered by role."
  }
  assert {
    condition     = toset(keys(cloudstack_disk.data)) == toset(["test-worker-1", "test-worker-2"]) && cloudstack_disk.data["test-worker-1"].size == 100
    error_message = "Only nodes that ask for a data volume have one."
  }
  assert {
    condition     = alltrue([for node in cloudstack_instance.node : node.expunge])
    error_message = "A destroyed instance must give back its address and quota."
  }
  assert {
    condition     = toset(keys(cloudstack_affinity_group.this)) == toset(["control-plane", "worker"])
    error_message = "Each role has its group."
  }
}

run "cloud_init" {
  command = plan

  variables {
    extra_packages = ["nfs-common"]
  }

  assert {
    condition     = yamldecode(cloudstack_instance.node["test-worker-1"].user_data).ssh_pwauth == false && yamldecode(cloudstack_instance.node["test-worker-1"].user_data).disable_root
    error_message = "No passwords, no root."
  }
  assert {
    condition     = contains(yamldecode(cloudstack_instance.node["test-worker-1"].user_data).packages, "unattended-upgrades") && contains(yamldecode(cloudstack_instance.node["test-worker-1"].user_data).packages, "nfs-common")
    error_message = "Hardening's packages and those asked for are installed."
  }
  assert {
    condition     = yamldecode(cloudstack_instance.node["test-worker-1"].user_data).users[0].lock_passwd && yamldecode(cloudstack_instance.node["test-worker-1"].user_data).users[0].ssh_authorized_keys == [var.ssh_public_key]
    error_message = "The administrator logs in by key only."
  }
}

run "single_node" {
  command = plan

  variables {
    control_plane = { service_offering = "Medium", data_volume_gb = 20 }
    workers       = { count = 0, service_offering = "Large" }
  }

  assert {
    condition     = length(cloudstack_instance.node) == 1 && length(cloudstack_disk.data) == 1 && length(cloudstack_affinity_group.this) == 1
    error_message = "One node, its volume, its group."
  }
}

run "refuses_even_control_planes" {
  command = plan

  variables {
    control_plane = { count = 4, service_offering = "Medium" }
  }

  expect_failures = [var.control_plane]
}

run "refuses_half_a_worker" {
  command = plan

  variables {
    workers = { count = 1.5, service_offering = "Large" }
  }

  expect_failures = [var.workers]
}

run "refuses_a_private_key" {
  command = plan

  variables {
    ssh_public_key = "-----BEGIN OPENSSH PRIVATE KEY-----"
  }

  expect_failures = [var.ssh_public_key]
}

run "refuses_root" {
  command = plan

  variables {
    ssh_user = "root"
  }

  expect_failures = [var.ssh_user]
}

run "refuses_bad_names" {
  command = plan

  variables {
    name = "Titanium_1"
  }

  expect_failures = [var.name]
}

run "refuses_unknown_affinity" {
  command = plan

  variables {
    affinity_type = "host affinity"
  }

  expect_failures = [var.affinity_type]
}
