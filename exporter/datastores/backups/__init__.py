"""Places where backups lie: folders and buckets, read and never written."""
