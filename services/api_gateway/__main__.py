"""`python -m api_gateway`."""

from api_gateway.main import create_app
from api_gateway.settings import GatewaySettings
from titanium_common.server import load, serve

if __name__ == "__main__":
    settings = load(GatewaySettings)
    serve(create_app, settings, ports=(settings.edge_port,))
