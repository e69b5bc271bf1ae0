"""HTTP alone: who may ask, what is answered, and the server; every answer is made from the snapshot."""
