"""What users write: the configuration, its targets, files, secrets and limits; the lowest of the packages."""
