"""PostgreSQL's protocol, as far as we must read it ourselves: the login, and how much a server may say.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""
