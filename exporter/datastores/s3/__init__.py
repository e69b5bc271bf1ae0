"""What MinIO and any other S3 server have in common: signed requests, and what a response proves."""
