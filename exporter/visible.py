"""Texts of others, so that nothing in them acts on the terminal, the editor or the page that shows them."""


def visible(text: str, keep: str = "") -> str:
    """Write out what is not printable: control characters, ends of lines, changes of direction, half surrogates.

    keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in keep else ascii(sign)[1:-1] for sign in text)
