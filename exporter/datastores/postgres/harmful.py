"""Functions that users' statements may not call: no read-only transaction holds them back, and no ROLLBACK undoes them.

Only what the statement itself names, and without Unicode escapes, can be told: not what a function, a view or a foreign
table calls that it reads.
"""

import re

from exporter.sql_text import skipped

# The server cuts names to 63 bytes; without that bound a word of a million letters would be looked at for hours.
_NAMES = (
    r"dblink\w{0,63}",  # another connection, on which anything may be written
    r"http_(?:get|post|put|patch|delete|head)",
    r"lo_(?:import|export|put|from_bytea|creat|create|unlink)|lowrite",
    r"pg_read_(?:binary_)?file|pg_stat_file",
    r"pg_(?:terminate|cancel)_backend|pg_log_backend_memory_contexts",
    r"pg_(?:promote|reload_conf|rotate_logfile|switch_wal|create_restore_point|log_standby_snapshot|prewarm|file_write)",
    r"pg_(?:backup_start|backup_stop|start_backup|stop_backup|wal_replay_pause|wal_replay_resume)",
    r"pg_logical_emit_message|pg_logical_slot_get_(?:binary_)?changes|pg_replication_slot_advance",
    r"pg_(?:create|copy)_(?:physical|logical)_replication_slot|pg_drop_replication_slot|pg_sync_replication_slots",
    r"pg_replication_origin_\w{1,63}",
    r"pg_stat_(?:\w{1,63}_)?reset\w{0,63}",
)
_MOST = 20  # mentions
# Nobody can read what a name in escapes is.
_NAME = re.compile(rf"""(?<![\w$])({"|".join(_NAMES)}|U&"[^"]{{1,200}}")(?![\w$])"?""", re.IGNORECASE | re.ASCII)


def harmful_call(sql: str) -> str | None:
    """Return the first such function that a statement calls; also where a text of it merely looks like a call.

    One that mentions many is not looked at to the end of each comment: it is refused.
    """
    for number, found in enumerate(_NAME.finditer(sql)):
        at = skipped(sql, found.end())
        if number == _MOST or sql[at : at + 7].upper().startswith(("(", "UESCAPE")):
            return found[1]
    return None
