mock_provider "cloudstack" {}

variables {
  zone           = "zone-1"
  template       = "Ubuntu 24.04"
  ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE3ZbC0H0bT0m9mB8lq1cVdT5o9y0sXg2r7Q4m1v8a2K test"
  admin_cidrs    = ["203.0.113.0/24"]
  control_plane  = { service_offering = "Medium" }
  workers        = { service_offering = "Large" }
}

run "good" {
  command = plan

  assert {
    condition     = output.inventory.schema_version == 1 && length(output.inventory.hosts) == 3
    error_message = "Three hosts by default."
  }
}

run "refuses_unknown_modes" {
  command = plan

  variables {
    mode = "magic"
  }

  expect_failures = [var.mode]
}

run "instances_need_a_template" {
  command = plan

  variables {
    template = null
  }

  expect_failures = [var.template]
}

run "managed_needs_a_version_and_agreement" {
  command = plan

  variables {
    mode = "managed"
  }

  expect_failures = [var.kubernetes_version, var.managed_api_is_public]
}

run "refuses_names_as_volumes" {
  command = plan

  variables {
    existing_volumes = { titanium-worker-1 = "titanium-worker-1-data" }
  }

  expect_failures = [var.existing_volumes]
}

run "refuses_bad_names" {
  command = plan

  variables {
    name = "Titanium"
  }

  expect_failures = [var.name]
}
