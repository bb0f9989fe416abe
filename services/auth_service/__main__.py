"""`python -m auth_service`."""

from auth_service.main import create_app
from auth_service.settings import AuthSettings
from titanium_common.server import load, serve

if __name__ == "__main__":
    serve(create_app, load(AuthSettings))
