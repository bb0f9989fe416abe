"""The edge on clusters without a mesh: passes requests on to the services, and nothing that is for inside."""
