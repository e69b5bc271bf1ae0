"""PostgreSQL's protocol, as far as we read it ourselves: the login, and the size of what a server sends.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""
