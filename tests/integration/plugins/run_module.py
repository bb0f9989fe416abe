"""Runs k8s_apply with the parameters on standard input, as Ansible would; much sooner than a playbook is."""

from __future__ import annotations

import json
import sys

from ansible.module_utils.testing import patch_module_args

from plugins.modules.k8s_apply import main

if __name__ == "__main__":
    with patch_module_args(json.load(sys.stdin)):
        main()
