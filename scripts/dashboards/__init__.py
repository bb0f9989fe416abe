"""The dashboards, written in Python: `python -m scripts.dashboards` writes the JSON that the role grafana ships."""
