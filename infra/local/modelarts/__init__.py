"""ModelArts for the embedded stack and for tests: its wire on loopback, its jobs as processes of this machine.

It is held to the official SDK, which signs, describes and calls: signatures are recomputed by the SDK's own signer and
bodies are compared with the SDK's own models.
"""
