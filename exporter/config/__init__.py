"""What users write: the configuration, its targets, files, secrets and limits; knows nothing of the rest."""
