"""`python -m user_service`."""

from titanium_common.server import load, serve
from user_service.main import create_app
from user_service.settings import UserSettings

if __name__ == "__main__":
    serve(create_app, load(UserSettings))
