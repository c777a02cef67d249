# shellcheck shell=sh
# What was pushed is on disk before anybody is told; the host sends the webhook from this file.
{ printf '%s %s\n' "$TRAINYARD_REPOSITORY" "$REMOTE_USER"; cat; } > "$TRAINYARD_SPOOL.tmp"
mv "$TRAINYARD_SPOOL.tmp" "$TRAINYARD_SPOOL"
