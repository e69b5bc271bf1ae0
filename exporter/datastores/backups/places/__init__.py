"""Folders and buckets that a place of backups can be: listed and read, never written."""
