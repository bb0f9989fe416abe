"""A Terraform provider that behaves as cloudstack/cloudstack does, for the resources that terraform/ uses.

It runs in an environment of its own (requirements/terraform-double.txt), as an executable in a provider mirror.
"""
