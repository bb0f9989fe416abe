"""`python -m blog_service`."""

from blog_service.main import create_app
from blog_service.settings import BlogSettings
from titanium_common.server import load, serve

if __name__ == "__main__":
    serve(create_app, load(BlogSettings))
