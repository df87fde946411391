"""Judge the answers before anything is written: every problem at once, then stop.

The answers are data. They arrive as JSON inside a raw string (the filter escapes the apostrophe, so no answer
can end that string), and nothing here runs or renders them. Standard library only: this runs under whatever
Python has cookiecutter.
"""

import json
import keyword
import re
import sys
import unicodedata

ANSWERS = json.loads(r'''{{ cookiecutter | tojson }}''')  # fmt: skip

# Every prompt that takes free text, with an answer that works.
EXAMPLES = {
    "project_name": "Parcel ETA",
    "project_slug": "parcel-eta",
    "package_name": "parcel_eta",
    "description": "Predicts how many hours a parcel takes to arrive.",
    "author_name": "Ada Example",
    "author_email": "ada@example.com",
    "github_owner": "example-org",
    "owner_team": "ml-team",
}
LONGEST = {"project_slug": 60, "package_name": 60, "description": 200}
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
OURS = {"conftest", "src", "tests", "train"}

# Every package in uv.lock; and what it is imported as, where that is another name. Kept by scripts/bump.py.
LOCKED = """
aiobotocore aiohappyeyeballs aiohttp aiohttp-retry aioitertools aiosignal aiosmtpd alembic amqp annotated-doc
annotated-types antlr4-python3-runtime anyio appdirs appnope apprise asttokens asyncssh atpublic attrs
billiard blinker boolean-py boto3 botocore cachecontrol cachetools celery certifi cffi cfgv charset-normalizer
check-jsonschema click click-didyoumean click-plugins click-repl cloudpickle colorama comm configobj contourpy
cryptography cycler cyclonedx-python-lib databricks-sdk dataframely debugpy defusedxml deprecated dictdiffer
diskcache distlib distro docker dpath dulwich dvc dvc-data dvc-http dvc-objects dvc-render dvc-s3
dvc-studio-client dvc-task entrypoints execnet executing fastapi fastjsonschema filelock flask flask-cors
flatten-dict flufl-lock fonttools frozenlist fsspec funcy gitdb gitpython google-auth googleapis-common-protos
grandalf graphene graphql-core graphql-relay gto gunicorn h11 harfile holidays httpcore httptools httpx huey
hydra-core hypothesis hypothesis-graphql identify idna importlib-metadata iniconfig ipykernel ipython
ipython-pygments-lexers iterative-telemetry itsdangerous jedi jinja2 jmespath joblib jsonschema jsonschema-rs
jsonschema-specifications jupyter-client jupyter-core kingfisher-bin kiwisolver kombu license-expression
limits mako markdown markdown-it-py markupsafe matplotlib matplotlib-inline mdurl mlflow mlflow-skinny
mlflow-tracing moto msgpack msgspec multidict narwhals nbclient nbformat nbstripout nest-asyncio2 networkx
nodeenv numpy oauthlib obstore omegaconf opentelemetry-api opentelemetry-exporter-http-transport
opentelemetry-exporter-otlp-common opentelemetry-exporter-otlp-proto-common
opentelemetry-exporter-otlp-proto-http opentelemetry-proto opentelemetry-sdk
opentelemetry-semantic-conventions orjson packageurl-python packaging pandas parso pathspec pexpect pillow pip
pip-api pip-audit pip-requirements-parser platformdirs pluggy polars polars-runtime-32 pre-commit
pre-commit-hooks prettytable prometheus-client prompt-toolkit propcache protobuf psutil ptyprocess pure-eval
py-partiql-parser py-serializable pyarrow pyasn1 pyasn1-modules pybreaker pycparser pydantic pydantic-core
pydantic-settings pydot pygit2 pygments pygtrie pyparsing pyrate-limiter pyrefly pytest pytest-timeout
pytest-xdist python-dateutil python-discovery python-dotenv pywin32 pyyaml pyzmq referencing regress requests
requests-oauthlib responses rich rpds-py ruamel-yaml ruff s3fs s3transfer schemathesis scikit-learn scipy
scmrepo semver setuptools shellingham shortuuid shtab six skops smmap sortedcontainers sqlalchemy sqlparse
sqltrie stack-data stamina starlette tabulate tenacity threadpoolctl tomli tomli-w tomlkit tornado tqdm
traitlets typer typing-extensions typing-inspection tzdata tzlocal urllib3 uvicorn uvloop vine virtualenv
voluptuous waitress watchfiles wcwidth websockets werkzeug wrapt xmltodict yarl zc-lockfile zipp zizmor
"""
IMPORTS = """
antlr4 attr boolean c787785866c7b801238d__mypyc cyclonedx databricks dateutil dotenv flufl git google graphql
hydra ipykernel_launcher jupyter kingfisher markdown_it mpl_toolkits opentelemetry packageurl
packaging_legacy_version pil public py pydevd_plugins pylab rpds ruamel sklearn validate xdist yaml zc zmq
"""


def breaks_text(char):
    """Control characters, other line ends, half characters, and those that reorder what a person reads."""
    bidi = "\u202a" <= char <= "\u202e" or "\u2066" <= char <= "\u2069"
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or bidi or char in "\ufeff\ufffe\uffff"


def expected_of_any(name, value):
    """The rules that let every file quote an answer with plain double quotes."""
    longest = LONGEST.get(name, 80)
    if not value.strip():
        yield "something; it is empty"
    elif value != value.strip():
        yield "no space at either end"
    if '"' in value or "\\" in value:
        yield "no double quote and no backslash (an apostrophe is fine)"
    if any(map(breaks_text, value)):
        yield "one line of text, without control or text-direction characters"
    # Put together here, since this file is rendered too.
    if any("{" + mark in value for mark in "#%{"):
        yield "no opening marks of a template, such as two braces"
    if len(value) > longest:
        yield f"at most {longest} characters; it has {len(value)}"


def expected_of_slug(slug):
    normal = re.sub(r"[-_.]+", "-", slug).lower()
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug):
        yield "lower-case letters, digits and single dashes, starting with a letter"
    if normal in DEVICES:
        yield "a name that Windows can make a folder of; this one is a device"
    if normal in LOCKED.split():
        yield "a name of its own; uv.lock holds a dependency of this name"


def expected_of_package(package):
    if not re.fullmatch(r"[a-z][a-z0-9_]*", package):
        yield "lower-case letters, digits and underscores, starting with a letter"
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        yield "a name that is no word of Python's own"
    if package in sys.stdlib_module_names:
        yield "a name that no module of the standard library has"
    if package in IMPORTS.split() or package.replace("_", "-") in LOCKED.split():
        yield "a name of its own; a dependency is imported by this one"
    if package in DEVICES:
        yield "a name that Windows can make a folder of; this one is a device"
    if package in OURS:
        yield "a name of its own; another file or folder of the project has this one"


def expected_of_email(email):
    if not re.fullmatch(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;.]+", email):
        yield "one e-mail address"


def expected_of_owner(owner):
    if not re.fullmatch(r"(?=.{1,39}$)[A-Za-z0-9]+(-[A-Za-z0-9]+)*", owner):
        yield "a GitHub user or organisation: letters, digits and single dashes, at most 39"


def expected_of_team(team):
    if not re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", team):
        yield "the bare name of a team: lower-case letters, digits, single dashes; no @, no organisation"


RULES = {
    "project_slug": expected_of_slug,
    "package_name": expected_of_package,
    "author_email": expected_of_email,
    "github_owner": expected_of_owner,
    "owner_team": expected_of_team,
}


def problems():
    for name in EXAMPLES:
        value = str(ANSWERS[name])
        broken = list(expected_of_any(name, value))
        if value and name in RULES:
            broken += RULES[name](value)
        for expected in broken:
            yield name, value, expected


def report(found):
    count = "One answer" if len(found) == 1 else f"{len(found)} things in the answers"
    yield f"\n{count} to mend. Nothing was generated.\n"
    for name, value, expected in found:
        yield f"  {name}"
        yield f"    seen      {value!r}"
        yield f"    expected  {expected}"
        yield f"    example   {EXAMPLES[name]}\n"


found = list(problems())
if found:
    # A terminal that cannot show a character gets its escape, not a traceback.
    sys.stderr.reconfigure(errors="backslashreplace")
    print("\n".join(report(found)), file=sys.stderr)
    sys.exit(1)
