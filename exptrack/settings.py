"""Settings, read once from the environment.

Every variable stands in docs/configuration.md. A value that cannot be used stops the start
with one sentence. Without any variable ExpTrack runs embedded: SQLite, secret key and files
under ./data, reachable from this machine only.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from environ import Env

BASE_DIR = Path(__file__).resolve().parent.parent


def truth(text: str) -> bool:
    """`true` or `false`, in any of the usual spellings."""
    return {
        **dict.fromkeys(("true", "yes", "on", "1"), True),
        **dict.fromkeys(("false", "no", "off", "0"), False),
    }[text.lower()]


def words(text: str) -> list[str]:
    """What stands between commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def redis_url(text: str) -> str:
    """The address of a Redis, as redis-py reads it."""
    from redis.connection import parse_url

    parse_url(text)
    return text


KINDS = {
    str: "text",
    int: "a whole number",
    truth: "true or false",
    words: "a list with commas",
    redis_url: "redis://:password@host:6379/0, special characters %-encoded",
    Env.db_url_config: "postgresql://user:password@host:port/name or sqlite:////path/to/file, "
    "special characters %-encoded",
    Env.email_url_config: "smtp+tls://user:password@host:port, special characters %-encoded",
}


def read(kind: Callable[[str], object], name: str, default: object) -> object:
    """The variable `name` as a `kind`, or `default` when it is unset or empty. A bad value stops
    the start by name; the value is not repeated, since it may hold a password."""
    text = os.environ.get(name, "").strip()
    try:
        return kind(text) if text else default
    except (ValueError, KeyError, ImproperlyConfigured):
        raise ImproperlyConfigured(f"{name} must be {KINDS[kind]}.") from None


def read_number(name: str, default: int, *, least: int, most: int) -> int:
    """The variable `name` as a whole number between two others, both included."""
    number = read(int, name, default)
    if not least <= number <= most:
        raise ImproperlyConfigured(f"{name} must be between {least} and {most}.")
    return number


def private_file(path: Path) -> None:
    """Make `path` an empty file that only its owner reads, if there is none."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return


def secret_key(folder: Path) -> str:
    """The signing key kept in `folder`, made at first use, readable by its owner only."""
    path, draft = folder / "secret-key", folder / f"secret-key.{secrets.token_hex(4)}"
    if not path.exists():
        private_file(draft)
        draft.write_text(secrets.token_urlsafe(48))
        # Whoever links first wins, and nobody ever reads half a key.
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


# --- Where things live -----------------------------------------------------------------------

PRODUCTION = read(truth, "EXPTRACK_PRODUCTION", False)
DEBUG = read(truth, "EXPTRACK_DEBUG", False)
if DEBUG and PRODUCTION:
    raise ImproperlyConfigured("EXPTRACK_DEBUG and EXPTRACK_PRODUCTION exclude each other.")
DATA_DIR = Path(read(str, "EXPTRACK_DATA", str(BASE_DIR / "data"))).absolute()

SECRET_KEY = read(str, "EXPTRACK_SECRET_KEY", "")
SECRET_KEY_FALLBACKS = read(words, "EXPTRACK_SECRET_KEY_FALLBACKS", [])
if not SECRET_KEY and PRODUCTION:
    raise ImproperlyConfigured("EXPTRACK_SECRET_KEY must be set when EXPTRACK_PRODUCTION is on.")
if SECRET_KEY and len(SECRET_KEY) < 50:
    raise ImproperlyConfigured("EXPTRACK_SECRET_KEY must have 50 random characters or more.")
try:
    DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    SECRET_KEY = SECRET_KEY or secret_key(DATA_DIR)
except FileExistsError:
    raise ImproperlyConfigured(
        f"The data folder {DATA_DIR} is a file. Set EXPTRACK_DATA to a folder of yours."
    ) from None
except OSError as error:
    raise ImproperlyConfigured(
        f"The data folder {DATA_DIR} cannot be written ({error.strerror}). "
        "Set EXPTRACK_DATA to a folder of yours."
    ) from error

# Where `manage.py serve` and deploy/gunicorn.conf.py listen, and with how many hands.
HOST = read(str, "HOST", "127.0.0.1")
PORT = read_number("PORT", 8000, least=0, most=65_535)
WORKERS = read_number("EXPTRACK_WORKERS", 2, least=1, most=256)
THREADS = read_number("EXPTRACK_THREADS", 8, least=1, most=256)
# Pages that listen for changes hold a thread each: at most half of them, unless told otherwise.
LIVE_STREAMS = read_number("EXPTRACK_LIVE_STREAMS", THREADS // 2, least=0, most=THREADS - 1)
LIVE_PORT = read_number("EXPTRACK_LIVE_PORT", 8001, least=1, most=65_535)

# The first start makes the first admin, and shows what ExpTrack is for.
ADMIN_USER = read(str, "EXPTRACK_ADMIN_USER", "admin")
DEMO = read(truth, "EXPTRACK_DEMO", not PRODUCTION)

ROOT_URLCONF = "exptrack.urls"
WSGI_APPLICATION = "exptrack.wsgi.application"
LOCAL_NAMES = ["localhost", "127.0.0.1", "[::1]", *({HOST} - {"0.0.0.0", "::"})]  # noqa: S104
ALLOWED_HOSTS = read(words, "EXPTRACK_ALLOWED_HOSTS", [] if PRODUCTION else LOCAL_NAMES)
if not ALLOWED_HOSTS:
    raise ImproperlyConfigured(
        "EXPTRACK_ALLOWED_HOSTS must name this site when EXPTRACK_PRODUCTION is on."
    )
CSRF_TRUSTED_ORIGINS = read(words, "EXPTRACK_CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "axes",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
    "template_partials",
    "exptrack",
    "accounts",
    "experiments",
]

MIDDLEWARE = [
    # For every request.
    "exptrack.middleware.RequestIdMiddleware",
    "exptrack.middleware.ApiEdgeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "exptrack.middleware.StandingHeadersMiddleware",
    "django.middleware.common.CommonMiddleware",
    # Requests of scripts go straight to their view from here. What follows is for pages, except
    # that every view is shown to all that have a `process_view`: who may come in is asked always.
    "exptrack.middleware.ApiPastPagesMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "exptrack.middleware.SignedOutFragmentMiddleware",
    "exptrack.middleware.LoginRequiredMiddleware",
    "exptrack.middleware.PagesWithoutAnAnswerMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
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

EMBEDDED = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(DATA_DIR / "exptrack.sqlite3")}
if not read(str, "DATABASE_URL", "sqlite:").startswith(("postgresql:", "postgres:", "sqlite:")):
    raise ImproperlyConfigured("DATABASE_URL must begin with postgresql:// or sqlite://.")
DATABASES = {"default": read(Env.db_url_config, "DATABASE_URL", EMBEDDED)}
database = DATABASES["default"]
if database["NAME"] in ("", ":memory:"):
    raise ImproperlyConfigured("DATABASE_URL must name a database; one in memory would be lost.")
if database["ENGINE"] == "django.db.backends.sqlite3":
    try:
        private_file(Path(database["NAME"]))
    except OSError as error:
        raise ImproperlyConfigured(
            f"The database file {database['NAME']} cannot be written ({error.strerror})."
        ) from error
    # IMMEDIATE takes the write lock before the first read: a read transaction that upgrades
    # fails at once as "database is locked", whatever the timeout (593 of 800 were seen).
    database["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
else:
    database["ENGINE"] = "exptrack.postgresql"
    database["CONN_HEALTH_CHECKS"] = True
    database["OPTIONS"] = {
        "connect_timeout": 5,
        "prepare_threshold": 5,  # for the statements that ask for it; Django's own never are
        "options": "-c statement_timeout=30000 -c lock_timeout=15000",
    } | database.get("OPTIONS", {})
database["CONN_MAX_AGE"] = 600
# Optional: carries word of changes to open pages.
REDIS_URL = read(redis_url, "REDIS_URL", "")
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Who may come in -------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
# (user, text) → the id of the experiment a token is for, or None. Accounts know no experiments.
EXPERIMENT_FINDER = "experiments.access.named_experiment"
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
CSRF_FAILURE_VIEW = "exptrack.pages.form_expired"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "experiment-list"
LOGOUT_REDIRECT_URL = "sign-in"
# One user name from one address: by address alone, one NAT locks out a whole lab.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "accounts.addresses.client_address"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_TEMPLATE = "accounts/locked_out.html"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
# Axes keeps the form of a refused attempt, and only knows the field `password` by itself.
AXES_SENSITIVE_PARAMETERS = (
    "username ip_address csrfmiddlewaretoken current_password new_password1 new_password2"
).split()

SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
CSRF_COOKIE_HTTPONLY = True
BEHIND_PROXY = PRODUCTION and read(truth, "EXPTRACK_BEHIND_PROXY", False)
if PRODUCTION:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^api/", r"^health/"]
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    if BEHIND_PROXY:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "object-src 'none'; frame-ancestors 'none'"
)
X_FRAME_OPTIONS = "DENY"

# --- API -------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["experiments.api.permissions.TokenScope"],
    "DEFAULT_PARSER_CLASSES": ["experiments.api.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["experiments.api.renderers.StrictJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "experiments.api.schema.ApiSchema",
    "EXCEPTION_HANDLER": "experiments.api.errors.handle_exception",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
}
# What one request may hold; each limit is named in the answer that refuses it.
MAX_BODY_BYTES = 16 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_BODY_BYTES
MAX_POINTS_PER_REQUEST = 100_000
MAX_NAMES_PER_REQUEST = 10_000
# A run is lost after this silence: with a heartbeat, and without one ever.
LOST_AFTER_SECONDS = read_number("EXPTRACK_LOST_AFTER", 120, least=30, most=7 * 24 * 3600)
# What people ask of lists is stopped after so long.
QUERY_SECONDS = read_number("EXPTRACK_QUERY_SECONDS", 10, least=1, most=25)
LOST_AFTER_SECONDS_WITHOUT_HEARTBEAT = 24 * 3600

# --- Static files ----------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
NODE_MODULES = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/chart.js", NODE_MODULES / "chart.js" / "dist"),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
# Only hashed names are ever asked for; without the others it takes half the time and space.
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

# --- The rest --------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = ["exptrack.formats"]
EMAIL_CONFIG = read(Env.email_url_config, "EMAIL_URL", Env.email_url_config("consolemail:"))
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = read(str, "EXPTRACK_FROM_EMAIL", "exptrack@localhost")

LOG_LEVEL = read(str, "EXPTRACK_LOG_LEVEL", "INFO").upper()
if LOG_LEVEL not in ("DEBUG", "INFO", "WARNING", "ERROR"):
    raise ImproperlyConfigured("EXPTRACK_LOG_LEVEL must be debug, info, warning or error.")
LOG_JSON = read(truth, "EXPTRACK_LOG_JSON", PRODUCTION)
LOGGING_CONFIG = "exptrack.logs.configure"
LOGGING = {"level": LOG_LEVEL, "json": LOG_JSON}
