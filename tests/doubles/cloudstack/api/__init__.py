"""The CloudStack API, as far as terraform/ uses it, over HTTP and with state that tests can look into."""
