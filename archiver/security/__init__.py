"""Who may do what: roles, keys, and the log of what was done. No network here: the command line uses it as well."""

from archiver.security.audit import AuditLog
from archiver.security.chain import Fault, Verdict, verify
from archiver.security.keys import Key, Keys
from archiver.security.roles import Caller, Principal, Role

__all__ = ["AuditLog", "Caller", "Fault", "Key", "Keys", "Principal", "Role", "Verdict", "verify"]
