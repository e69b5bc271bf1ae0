"""What is known of the backups of a set, and what it means under its policy: pure, shared by stores."""
