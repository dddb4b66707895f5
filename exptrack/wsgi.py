"""The WSGI application: pages, API and admin."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "exptrack.settings")
application = get_wsgi_application()
