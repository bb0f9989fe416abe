"""A CloudStack cloud for tests: its API (`api`) and a Terraform provider that speaks to it (`provider`)."""
