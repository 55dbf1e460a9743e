"""Errors of connecting to PostgreSQL, found by the words of libpq, the server or a pooler.

The driver reports no SQLSTATE for a failed connection. The rules are tried in this order: access refused (77), wrong
configuration (78), no room (75). If none matches, the server is down (69).
"""

from __future__ import annotations

import re

from etl.errors import LocalTrouble, Misconfigured, NoConnectionFree, NotAllowed, Unavailable, VnsyncError

ROLES = "docs/postgresql-roles.sql"
DOWN = "Check that the server runs and is reachable; nothing was half-published"
SETTING = "the database URL (VNSYNC_DATABASE_URL)"
PASSWORD = f"Check user and password of {SETTING}"
NO_SPACE = "Free space on the database server; nothing was half-published"
FULL = "The server has no free connections; run again later"

_NO_ENTRY = "Let this machine and user in (pg_hba.conf)"
_LOG = "the server's pg_hba.conf says how this user proves who it is; its log says more"
_TLS = f"Check sslmode, sslrootcert, sslcert and sslkey of {SETTING}, and the server's certificate"

Rule = tuple[str, type[VnsyncError], str]

_RULES: tuple[Rule, ...] = (
    # The user may not connect.
    (r"(password|LDAP|RADIUS|PAM|BSD|SASL|OAuth bearer) authentication failed", NotAllowed, PASSWORD),
    ("no password supplied", NotAllowed, PASSWORD),
    (
        "(Peer|Ident) authentication failed",
        NotAllowed,
        f"Run vnsync as the system user that this role belongs to, or have pg_hba.conf ask for a password: {_LOG}",
    ),
    (
        "authentication failed|auth failed|login rejected|Tenant or user not found",
        NotAllowed,
        f"Check the user: {_LOG}",
    ),
    (
        "no pg_hba.conf entry .*no encryption",
        NotAllowed,
        f"{_NO_ENTRY}; if only TLS is let in, add ?sslmode=require to {SETTING}",
    ),
    ("no pg_hba.conf entry|pg_hba.conf rejects", NotAllowed, f"{_NO_ENTRY}, or connect as a user whom it lets in"),
    ("is not permitted to log in", NotAllowed, f"ALTER ROLE ... LOGIN, or use another role in {SETTING}"),
    ("permission denied for database", NotAllowed, f"GRANT CONNECT ON DATABASE ... TO the role of {SETTING}"),
    ("is not currently accepting connections", NotAllowed, "ALTER DATABASE ... ALLOW_CONNECTIONS true"),
    (
        'role "[^"]*" does not exist|no such user',
        NotAllowed,
        f"Create the role ({ROLES}), or correct its name in {SETTING}",
    ),
    (
        "requires a valid client certificate|alert (certificate required|unknown ca|bad certificate)",
        NotAllowed,
        f"Name a certificate that the server accepts: sslcert and sslkey of {SETTING}",
    ),
    (r"on socket .* failed: Permission denied", NotAllowed, "Let the user that runs vnsync into the socket's folder"),
    # The server does not have what the URL asks for.
    (
        'database "[^"]*" does not exist|no such database',
        Misconfigured,
        f"Create the database, or correct its name in {SETTING}",
    ),
    (
        "server does not support SSL|SSL required",
        Misconfigured,
        f"Set up TLS on the server, or leave it out: sslmode of {SETTING}",
    ),
    (
        "does not match host name|host name must be specified for a verified SSL",
        Misconfigured,
        f"Connect to the name that the certificate is for, in {SETTING}",
    ),
    (
        "certificate|private key file|SSL error: (?!unexpected eof|bad record|decryption failed)",
        Misconfigured,
        _TLS,
    ),
    (
        r"channel binding required|authentication method requirement|GSSAPI encryption required|"
        "server does not support GSSAPI",
        Misconfigured,
        f"Ask only for what the server offers: channel_binding, require_auth and gssencmode of {SETTING}",
    ),
    (
        r'definition of service "[^"]*" not found|service file',
        Misconfigured,
        f"Correct the service's name in {SETTING}, or the service file (PGSERVICEFILE)",
    ),
    (
        r"unrecognized configuration parameter|invalid value for parameter|permission denied to set parameter|"
        "invalid command-line argument for server process",
        Misconfigured,
        f"Correct `options` of {SETTING}, or PGOPTIONS",
    ),
    (
        r"invalid .*(value|port number|connection option|query parameter)|Unix-domain socket path|could not match|"
        "could not parse network address|bad value for|forbidden value|weak sslmode",
        Misconfigured,
        f"Correct {SETTING}",
    ),
    # The server has no room now.
    (
        "too many clients|too many connections|remaining connection slots|no more connections allowed|(?i:max client)",
        NoConnectionFree,
        FULL,
    ),
    ("query_wait_timeout", NoConnectionFree, "The pooler has no free connections; run again later"),
    ("could not write init file|No space left on device", LocalTrouble, NO_SPACE),
)
_COMPILED = tuple((re.compile(words), kind, remedy) for words, kind, remedy in _RULES)

_ATTEMPT = re.compile(r"^- host: .*?: (connection .*)$", re.MULTILINE)
_NEVER_SENT = "connection is bad: "
_SENT = "connection to server "
"""Beginning of libpq's message about a server that it tried to reach."""


def by_words(text: str) -> VnsyncError | None:
    """The error for a message of a server, a pooler or libpq; None if no rule matches."""
    for words, kind, remedy in _COMPILED:
        if words.search(text):
            return kind(f"PostgreSQL: {text}", remedy=remedy)
    return None


def refusal(text: str, *, of_options: bool = False) -> VnsyncError:
    """The error for a failed connection, by the most informative line of the driver (see `telling_line`).

    `of_options`: the driver could not read the connection options. A message that no rule matches means either that
    libpq refused the options before it tried a server, or that the server is down.
    """
    found = by_words(text)
    if found is not None:
        return found
    if of_options or (text.startswith(_NEVER_SENT) and _SENT not in text):
        return Misconfigured(f"PostgreSQL: {text}", remedy=f"Correct {SETTING}")
    return Unavailable(f"PostgreSQL: {text}", remedy=DOWN)


def telling_line(text: str) -> str:
    """The most informative line of a failed connection: of several hosts, the first one that was not merely down."""
    attempts = _ATTEMPT.findall(text)
    informative = [line for line in attempts if not isinstance(refusal(line), Unavailable)]
    if informative:
        return str(informative[0])
    first = text.strip().split("\n")[0]
    return f"{first} (the last of {len(attempts)} hosts)" if len(attempts) > 1 else first
