"""Settings, read once from the environment.

Every variable stands in docs/configuration.md. A value that cannot be used stops the start
with one sentence. Without any variable ExpTrack runs embedded: SQLite, secret key and files
under ./data, reachable from this machine only.
"""

import os
import secrets
from pathlib import Path

import environ
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def read(kind: str, name: str, default: object) -> object:
    """The variable `name` as django-environ's `kind`; a bad value stops the start by name."""
    try:
        return getattr(env, kind)(name, default=default)
    except (ValueError, ImproperlyConfigured) as error:
        raise ImproperlyConfigured(f"{name} cannot be read as {kind}: {error}") from error


def secret_key(data_dir: Path) -> str:
    """The signing key kept in `data_dir`, made at first use, readable by its owner only."""
    path = data_dir / "secret-key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(key := secrets.token_urlsafe(48))
    return key


# --- Where things live -----------------------------------------------------------------------

PRODUCTION = read("bool", "EXPTRACK_PRODUCTION", False)
DEBUG = read("bool", "EXPTRACK_DEBUG", False)
DATA_DIR = Path(read("str", "EXPTRACK_DATA", str(BASE_DIR / "data"))).absolute()

try:
    DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    SECRET_KEY = read("str", "EXPTRACK_SECRET_KEY", "")
    if not SECRET_KEY and not PRODUCTION:
        SECRET_KEY = secret_key(DATA_DIR)
except OSError as error:
    raise ImproperlyConfigured(
        f"The data folder {DATA_DIR} cannot be written ({error.strerror}). "
        "Set EXPTRACK_DATA to a folder of yours."
    ) from error
if not SECRET_KEY:
    raise ImproperlyConfigured("EXPTRACK_SECRET_KEY must be set when EXPTRACK_PRODUCTION is on.")

ROOT_URLCONF = "exptrack.urls"
WSGI_APPLICATION = "exptrack.wsgi.application"
ALLOWED_HOSTS = read("list", "EXPTRACK_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = read("list", "EXPTRACK_CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "template_partials",
    "accounts",
    "experiments",
]

MIDDLEWARE = [
    "exptrack.middleware.RequestIdMiddleware",
    "exptrack.middleware.ApiEdgeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "exptrack.middleware.SignedOutFragmentMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "exptrack.middleware.PrivateResponseMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Database --------------------------------------------------------------------------------

SQLITE_FILE = DATA_DIR / "exptrack.sqlite3"
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{SQLITE_FILE}")}
database = DATABASES["default"]
if database["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE takes the write lock before the first read: a read transaction that upgrades
    # fails at once as "database is locked", whatever the timeout (593 of 800 were seen).
    database["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
elif database["ENGINE"] == "django.db.backends.postgresql":
    database["CONN_HEALTH_CHECKS"] = True
    database.setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
    database["OPTIONS"].setdefault("options", "-c statement_timeout=30000 -c lock_timeout=15000")
else:
    raise ImproperlyConfigured("DATABASE_URL must begin with postgresql:// or sqlite://.")
database["CONN_MAX_AGE"] = 600
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Who may come in -------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "experiment-list"
LOGOUT_REDIRECT_URL = "sign-in"
# One user name from one address: by address alone, one NAT locks out a whole lab.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_TEMPLATE = "accounts/locked_out.html"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False

SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
if PRODUCTION:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^api/", r"^health/"]
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    if read("bool", "EXPTRACK_BEHIND_PROXY", False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
        "frame-ancestors": [NONE],
    }
}
X_FRAME_OPTIONS = "DENY"

# --- API -------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["experiments.access.TokenScope"],
    "DEFAULT_PARSER_CLASSES": ["experiments.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["experiments.api.renderers.StrictJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "experiments.api.schema.ApiSchema",
    "EXCEPTION_HANDLER": "experiments.api.errors.handle_exception",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "ExpTrack API",
    "DESCRIPTION": "Record, query and read machine-learning runs. See docs/api.md.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
# What one request may hold; each limit is named in the answer that refuses it.
MAX_BODY_BYTES = 16 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
MAX_POINTS_PER_REQUEST = 100_000
MAX_NAMES_PER_REQUEST = 10_000
# A run is lost after this silence: with a heartbeat, and without one ever.
LOST_AFTER_SECONDS = read("int", "EXPTRACK_LOST_AFTER", 120)
LOST_AFTER_SECONDS_WITHOUT_HEARTBEAT = 24 * 3600

# --- Static files ----------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
NODE_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/chart.js", NODE_MODULES / "chart.js" / "dist"),
    ("vendor/chartjs-plugin-zoom", NODE_MODULES / "chartjs-plugin-zoom" / "dist"),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- The rest --------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = read("str", "EXPTRACK_FROM_EMAIL", "exptrack@localhost")

LOG_LEVEL = read("str", "EXPTRACK_LOG_LEVEL", "INFO").upper()
LOG_JSON = read("bool", "EXPTRACK_LOG_JSON", PRODUCTION)
LOGGING_CONFIG = "exptrack.logs.configure"
LOGGING = {"level": LOG_LEVEL, "json": LOG_JSON}
